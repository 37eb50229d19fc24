// Go's context as the other side of some token rows: prints "operation nanoseconds" for each.
package main

import (
	"context"
	"fmt"
	"os"
	"sort"
	"time"
)

const repetitions = 7

func check(count int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for i := 0; i < count; i++ {
		if ctx.Err() != nil {
			panic("nobody cancelled it")
		}
	}
}

func child(count int) {
	parent, cancelParent := context.WithCancel(context.Background())
	defer cancelParent()
	for i := 0; i < count; i++ {
		_, cancel := context.WithCancel(parent)
		cancel()
	}
}

func timeout(count int) {
	parent, cancelParent := context.WithCancel(context.Background())
	defer cancelParent()
	for i := 0; i < count; i++ {
		_, cancel := context.WithTimeout(parent, 30*time.Second)
		cancel()
	}
}

func medianNs(loop func(count int), count int) float64 {
	var ns []float64
	for i := 0; i < repetitions; i++ {
		start := time.Now()
		loop(count)
		ns = append(ns, float64(time.Since(start).Nanoseconds())/float64(count))
	}
	sort.Float64s(ns)
	return ns[repetitions/2]
}

func main() {
	shorter := 1
	if len(os.Args) > 1 && os.Args[1] == "short" {
		shorter = 100
	}
	fmt.Println("check", medianNs(check, 5000000/shorter))
	fmt.Println("child", medianNs(child, 500000/shorter))
	fmt.Println("timeout", medianNs(timeout, 500000/shorter))
}
