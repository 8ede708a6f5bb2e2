"""Work as independent jobs, such as one network on one fold each: on this machine, on SLURM, or on Ray.

A job is a process `python -m maskcls.jobs FOLDER NAME ATTEMPT`. It reads what it has to do from the folder of the jobs
and from the run, and writes its results into the run, as a training in one process does.
"""
