# A program that knows of the spool that a file in it cancels: dropper.sh SPOOL JOURNAL FOLDER long|short
# It is killed at any time, and says what it did in lines of the journal: T it tries, A the drop is there, r it is about to
# take it back, R it has.
spool=$1
journal=$2
folder=$3
length=$4
template=$folder/template-$$
count=0
printf '{"reason": "a template"}' >"$template"

note() {
	echo "$1 $name" >>"$journal"
}

# Whole from the first moment.
rename_in() {
	printf '{"reason": "renamed"}' >"$spool/.$name"
	"$@"
	mv "$spool/.$name" "$spool/$name.json"
}

while :; do
	count=$((count + 1))
	name=shell-$$-$count
	note T
	case $((count % 7)) in
	0) rename_in : && note A ;;
	1) printf '{"reason": "written in place"}' >"$spool/$name.json" && note A ;;
	2) cp -p "$template" "$spool/$name.json" && note A ;;
	3) ln "$template" "$spool/$name.json" && note A ;;
	4) rename_in touch -d '2020-01-01 00:00' "$spool/.$name" && note A ;;
	5) # Whoever is first has it.
		rename_in : && note A
		note r
		rm "$spool/$name.json" 2>/dev/null && note R ;;
	6) # Nothing in it: taken in when it is five seconds old.
		if [ "$length" = long ] && [ $((count % 70)) = 6 ]; then
			touch "$spool/$name.json" && note A
		else
			rename_in : && note A
		fi ;;
	esac
	sleep 0.02
done
