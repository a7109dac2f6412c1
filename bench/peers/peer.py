"""What the peer scripts share: a loop that reads a JSON request a line and answers with the milliseconds of one run.

A request is {"what": name, "count": repetitions, "threads": n, "clock": "wall" or "cpu", ...parameters}. A script defines makers: functions of the
parameters that return a function without arguments, the work to be timed. What a maker made is kept for the next round.
"""
import json
import sys
import time

import torch


def serve(makers):
    print(f"PyTorch {torch.__version__}", file=sys.stderr)
    made = {}
    for line in sys.stdin:
        request = json.loads(line)
        what, count = request.pop("what"), request.pop("count")
        threads = request.pop("threads", None)
        clock = time.process_time if request.pop("clock", "wall") == "cpu" else time.perf_counter
        try:
            if threads and torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
            key = (what, json.dumps(request, sort_keys=True))
            if key not in made:
                made.clear()
                made[key] = makers[what](**request)
            start = clock()
            for _ in range(count):
                made[key]()
            answer = {"ms": (clock() - start) * 1000 / count}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
