"""Task cancellation by a JSON file a task, as it is often written: the other side of the benchmark's last rows.

    seed_peer.py DIRECTORY request|check-none|check-pending|clean-up COUNT

prints how many microseconds one operation took.
"""
import asyncio, json, os, sys, time
from datetime import datetime, timedelta


class TaskCancellationManager:
    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)

    def path(self, task_id):
        return os.path.join(self.directory, f"{task_id}.json")

    def write(self, task_id, request):
        with open(self.path(task_id), "w", encoding="utf-8") as file:
            json.dump(request, file, ensure_ascii=False)

    async def request_cancellation(self, task_id, reason):
        now = datetime.now().isoformat()
        self.write(task_id, {"task_id": task_id, "reason": reason, "requested_at": now, "status": "pending"})

    async def check_cancellation_request(self, task_id):
        if not os.path.exists(self.path(task_id)):
            return None
        with open(self.path(task_id), encoding="utf-8") as file:
            return json.load(file)

    async def mark_as_processed(self, task_id):
        request = await self.check_cancellation_request(task_id)
        request.update(status="processed", processed_at=datetime.now().isoformat())
        self.write(task_id, request)

    async def clean_up(self, keep_for):
        for name in os.listdir(self.directory):
            request = await self.check_cancellation_request(name.removesuffix(".json"))
            if request["status"] == "processed" and datetime.now() - datetime.fromisoformat(
                    request["processed_at"]) >= keep_for:
                os.remove(os.path.join(self.directory, name))


async def measure(manager, operation, count):
    tasks = [f"task_{number:07}" for number in range(count)]
    if operation in ("check-pending", "clean-up"):
        for task in tasks:
            await manager.request_cancellation(task, "deleted by alice in the web interface")
    if operation == "clean-up":
        for task in tasks:
            await manager.mark_as_processed(task)
    start = time.perf_counter()
    if operation == "clean-up":
        await manager.clean_up(timedelta(0))
    elif operation == "request":
        for task in tasks:
            await manager.request_cancellation(task, "deleted by alice in the web interface")
    else:
        for task in tasks:
            await manager.check_cancellation_request(task)
    return (time.perf_counter() - start) * 1e6 / count


manager = TaskCancellationManager(sys.argv[1])
print(asyncio.run(measure(manager, sys.argv[2], int(sys.argv[3]))))
