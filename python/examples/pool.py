"""Run many small jobs, each in a sandbox that was set up ahead of use."""

import seclude

box = seclude.Sandbox(files=[seclude.tmpfs("/tmp", "16M")], wall_time=10, cpu_time=2)
with box.pool(4) as pool:
    jobs = [["sh", "-c", f"echo $(({number} * {number}))"] for number in range(10)]
    print(*(done.stdout.strip() for done in pool.map(jobs, capture_output=True, text=True)))
    told = pool.statistics()
    print(f"{told.handed_out} handed out, {told.lost} lost")
