"""The native half of the thread team: how threads share out pieces, in LLVM's text.

A run goes through the phases of a table. The pieces of a phase are split into *shares*, one for
each thread (for eight at most): a 64-bit word holds the end of a share in its upper half and the
next piece in its lower half, and adding 1 to it claims a piece. A thread takes from its own share
first, so that it finds in its cache what it computed before, and then from the others. Whoever
finishes the last piece of a phase opens the next one; so nobody waits for a thread that holds no
piece, asleep or descheduled as it may be. Phases marked `alone` are run by that one thread at once.

A thread that comes late only ever touches the team's own memory, which is never freed, until it has
claimed a piece; and while it holds one, the phase cannot end, and the table stays.

Who finds nothing to do waits (`team_waiting`), and wakes elsewhere (`team_places`).
"""

import sys

from .team_places import places_text
from .team_waiting import waiting_text

# The team's memory, in bytes. Words that different threads write are 128 bytes apart: processors
# fetch lines of 64 bytes in pairs.
EPOCH, SLEEPERS, OVER, DONE = 0, 128, 256, 384
JOB_PHASES, JOB_PHASE, JOB_LAST, JOB_TASKS, JOB_TOTAL = 512, 520, 528, 536, 544
SIZE, SHARES, SPINS, QUIT = 640, 648, 656, 664
# The processors that threads may run on, one bit for each.
PROCESSORS, PROCESSORS_LISTED = 704, 512
SHARE, SHARE_BYTES, MAX_SHARES = 768, 128, 8
SEAT, SEAT_BYTES = SHARE + SHARE_BYTES * MAX_SHARES, 256
# Within a seat: is its thread asleep, its scratch memory, its share; the system's number of its
# thread and the processor it is kept apart from, 0 without; what pthreads wait with.
SEAT_ASLEEP, SEAT_SCRATCH, SEAT_SHARE, SEAT_THREAD, SEAT_APART = 0, 8, 16, 24, 32
SEAT_MUTEX, SEAT_CONDITION = 64, 128

# A table's memory. A phase: tasks, count, alone. A task: entries, count, piece. An entry: function,
# args.
PHASE_BYTES, TASK_BYTES, ENTRY_BYTES = 24, 24, 16

FUNCTIONS = (
    "narae_run",
    "narae_run_alone",
    "narae_call",
    "narae_worker",
    "narae_stop",
    "narae_spin",
    "narae_prepare",
)


def team_text(platform: str = sys.platform, processor: str = "") -> str:
    """All functions of the team.

    Args:
        platform: as `sys.platform` names it: threads sleep in a different way on each.
        processor: the first part of LLVM's triple: "x86_64", "aarch64".
    """
    text = _TEXT + waiting_text(platform, processor) + places_text(platform, processor)
    values = {name: str(value) for name, value in globals().items() if isinstance(value, int)}
    for name in sorted(values, key=len, reverse=True):
        text = text.replace("{" + name + "}", values[name])
    return text


_TEXT = r"""
; ---------------------------------------------------------------------------------- tasks

; Run all kernels of a chain on one piece.
define internal void @run_task(ptr %task, ptr %scratch) #0 {
entry:
  %entries = load ptr, ptr %task
  %count.at = getelementptr i8, ptr %task, i64 8
  %count = load i64, ptr %count.at
  %piece.at = getelementptr i8, ptr %task, i64 16
  %piece = load i64, ptr %piece.at
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.after, %next ]
  %offset = mul i64 %i, {ENTRY_BYTES}
  %kernel.at = getelementptr i8, ptr %entries, i64 %offset
  %kernel = load ptr, ptr %kernel.at
  %args.at = getelementptr i8, ptr %kernel.at, i64 8
  %args = load ptr, ptr %args.at
  call void %kernel(ptr %args, i64 %piece, ptr %scratch)
  %i.after = add i64 %i, 1
  %more = icmp ult i64 %i.after, %count
  br i1 %more, label %next, label %end
end:
  ret void
}

; Run `count` tasks, one after the other.
define internal void @run_tasks(ptr %tasks, i64 %count, ptr %scratch) #0 {
entry:
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %i.after, %body ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %body, label %end
body:
  %offset = mul i64 %i, {TASK_BYTES}
  %task = getelementptr i8, ptr %tasks, i64 %offset
  call void @run_task(ptr %task, ptr %scratch)
  %i.after = add i64 %i, 1
  br label %head
end:
  ret void
}

; Run phases first … last - 1 in the calling thread, without a team.
define void @narae_run_alone(ptr %phases, i64 %first, i64 %last, ptr %scratch) #0 {
entry:
  br label %head
head:
  %i = phi i64 [ %first, %entry ], [ %i.after, %body ]
  %more = icmp slt i64 %i, %last
  br i1 %more, label %body, label %end
body:
  %offset = mul i64 %i, {PHASE_BYTES}
  %phase = getelementptr i8, ptr %phases, i64 %offset
  %tasks = load ptr, ptr %phase
  %count.at = getelementptr i8, ptr %phase, i64 8
  %count = load i64, ptr %count.at
  call void @run_tasks(ptr %tasks, i64 %count, ptr %scratch)
  %i.after = add i64 %i, 1
  br label %head
end:
  ret void
}

; Run one kernel on one piece.
define void @narae_call(ptr %kernel, ptr %args, i64 %piece, ptr %scratch) #0 {
  call void %kernel(ptr %args, i64 %piece, ptr %scratch)
  ret void
}

; ---------------------------------------------------------------------------------- places

define internal ptr @share_at(ptr %team, i64 %index) #0 {
  %scaled = mul i64 %index, {SHARE_BYTES}
  %offset = add i64 %scaled, {SHARE}
  %share = getelementptr i8, ptr %team, i64 %offset
  ret ptr %share
}

define internal ptr @seat_at(ptr %team, i64 %index) #0 {
  %scaled = mul i64 %index, {SEAT_BYTES}
  %offset = add i64 %scaled, {SEAT}
  %seat = getelementptr i8, ptr %team, i64 %offset
  ret ptr %seat
}

define internal ptr @scratch_of(ptr %team, i64 %me) #0 {
  %seat = call ptr @seat_at(ptr %team, i64 %me)
  %at = getelementptr i8, ptr %seat, i64 {SEAT_SCRATCH}
  %scratch = load ptr, ptr %at
  ret ptr %scratch
}

; ---------------------------------------------------------------------------------- claiming

; The number of the task that was claimed from a share, or -1 if it is empty.
define internal i64 @claim(ptr %share) #0 {
entry:
  %seen = load atomic i64, ptr %share monotonic, align 8
  %seen.next = and i64 %seen, 4294967295
  %seen.end = lshr i64 %seen, 32
  %left = icmp ult i64 %seen.next, %seen.end
  br i1 %left, label %try, label %none
try:
  ; Only what this instruction returns counts: the word may hold a later phase by now.
  %word = atomicrmw add ptr %share, i64 1 acq_rel
  %next = and i64 %word, 4294967295
  %end = lshr i64 %word, 32
  %got = icmp ult i64 %next, %end
  br i1 %got, label %yes, label %none
yes:
  ret i64 %next
none:
  ret i64 -1
}

; Run the tasks of a share until it is empty; how many they were.
define internal i64 @drain(ptr %team, i64 %me, ptr %share) #0 {
entry:
  br label %head
head:
  %count = phi i64 [ 0, %entry ], [ %count.after, %body ]
  %index = call i64 @claim(ptr %share)
  %none = icmp slt i64 %index, 0
  br i1 %none, label %end, label %body
body:
  %tasks.at = getelementptr i8, ptr %team, i64 {JOB_TASKS}
  %tasks = load ptr, ptr %tasks.at
  %offset = mul i64 %index, {TASK_BYTES}
  %task = getelementptr i8, ptr %tasks, i64 %offset
  %scratch = call ptr @scratch_of(ptr %team, i64 %me)
  call void @run_task(ptr %task, ptr %scratch)
  %count.after = add i64 %count, 1
  br label %head
end:
  ret i64 %count
}

; Take from all shares, the own one first; how many tasks were run.
define internal i64 @sweep(ptr %team, i64 %me) #0 {
entry:
  %shares.at = getelementptr i8, ptr %team, i64 {SHARES}
  %shares = load i64, ptr %shares.at
  %seat = call ptr @seat_at(ptr %team, i64 %me)
  %own.at = getelementptr i8, ptr %seat, i64 {SEAT_SHARE}
  %own = load i64, ptr %own.at
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.after, %next ]
  %sum = phi i64 [ 0, %entry ], [ %sum.after, %next ]
  %number = add i64 %own, %i
  %index = urem i64 %number, %shares
  %share = call ptr @share_at(ptr %team, i64 %index)
  %count = call i64 @drain(ptr %team, i64 %me, ptr %share)
  %sum.after = add i64 %sum, %count
  %i.after = add i64 %i, 1
  %more = icmp ult i64 %i.after, %shares
  br i1 %more, label %next, label %end
end:
  ret i64 %sum.after
}

; Work as long as there are pieces to claim.
define internal void @work(ptr %team, i64 %me) #0 {
entry:
  br label %again
again:
  %count = call i64 @sweep(ptr %team, i64 %me)
  %none = icmp eq i64 %count, 0
  br i1 %none, label %end, label %report
report:
  ; The phase cannot end before these pieces are reported, so its total is still there.
  %total.at = getelementptr i8, ptr %team, i64 {JOB_TOTAL}
  %total = load i64, ptr %total.at
  %done.at = getelementptr i8, ptr %team, i64 {DONE}
  %before = atomicrmw add ptr %done.at, i64 %count acq_rel
  %done = add i64 %before, %count
  %is_last = icmp eq i64 %done, %total
  br i1 %is_last, label %advance, label %end
advance:
  call void @advance(ptr %team, i64 %me)
  br label %again
end:
  ret void
}

; ---------------------------------------------------------------------------------- phases

; Go on to the next phase with pieces to share, running those before it; or end the run.
; Called by one thread at a time: by the one that finished the phase before.
define internal void @advance(ptr %team, i64 %me) #0 {
entry:
  %phases.at = getelementptr i8, ptr %team, i64 {JOB_PHASES}
  %phases = load ptr, ptr %phases.at
  %phase.at = getelementptr i8, ptr %team, i64 {JOB_PHASE}
  %previous = load i64, ptr %phase.at
  %last.at = getelementptr i8, ptr %team, i64 {JOB_LAST}
  %last = load i64, ptr %last.at
  %scratch = call ptr @scratch_of(ptr %team, i64 %me)
  br label %next
next:
  %before = phi i64 [ %previous, %entry ], [ %number, %run ]
  %number = add i64 %before, 1
  %more = icmp slt i64 %number, %last
  br i1 %more, label %look, label %over
look:
  %offset = mul i64 %number, {PHASE_BYTES}
  %phase = getelementptr i8, ptr %phases, i64 %offset
  %tasks = load ptr, ptr %phase
  %count.at = getelementptr i8, ptr %phase, i64 8
  %count = load i64, ptr %count.at
  %alone.at = getelementptr i8, ptr %phase, i64 16
  %alone.word = load i64, ptr %alone.at
  %alone = icmp ne i64 %alone.word, 0
  br i1 %alone, label %run, label %open
run:
  call void @run_tasks(ptr %tasks, i64 %count, ptr %scratch)
  br label %next
open:
  store i64 %number, ptr %phase.at
  call void @open(ptr %team, ptr %tasks, i64 %count)
  ret void
over:
  ; From the first of these lines on, the table may be gone, and another run may begin.
  %over.at = getelementptr i8, ptr %team, i64 {OVER}
  store atomic i64 1, ptr %over.at seq_cst, align 8
  call void @announce(ptr %team)
  %caller = call ptr @seat_at(ptr %team, i64 0)
  %woken = call i64 @wake(ptr %team, ptr %caller)
  ret void
}

; Let everybody claim the tasks of a phase.
define internal void @open(ptr %team, ptr %tasks, i64 %count) #0 {
entry:
  %tasks.at = getelementptr i8, ptr %team, i64 {JOB_TASKS}
  store ptr %tasks, ptr %tasks.at
  %total.at = getelementptr i8, ptr %team, i64 {JOB_TOTAL}
  store i64 %count, ptr %total.at
  %done.at = getelementptr i8, ptr %team, i64 {DONE}
  store atomic i64 0, ptr %done.at monotonic, align 8
  %shares.at = getelementptr i8, ptr %team, i64 {SHARES}
  %shares = load i64, ptr %shares.at
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.after, %next ]
  %begin = phi i64 [ 0, %entry ], [ %end, %next ]
  %i.after = add i64 %i, 1
  %scaled = mul i64 %count, %i.after
  %end = udiv i64 %scaled, %shares
  %upper = shl i64 %end, 32
  %word = or i64 %upper, %begin
  %share = call ptr @share_at(ptr %team, i64 %i)
  store atomic i64 %word, ptr %share release, align 8
  %more = icmp ult i64 %i.after, %shares
  br i1 %more, label %next, label %tell
tell:
  call void @announce(ptr %team)
  %others = sub i64 %count, 1
  call void @wake_some(ptr %team, i64 %others)
  ret void
}

; ---------------------------------------------------------------------------------- threads

; What a worker does, until the team is stopped.
define void @narae_worker(ptr %team, i64 %me) #0 {
entry:
  br label %next
next:
  %epoch.at = getelementptr i8, ptr %team, i64 {EPOCH}
  %seen = load atomic i64, ptr %epoch.at seq_cst, align 8
  call void @work(ptr %team, i64 %me)
  %quit.at = getelementptr i8, ptr %team, i64 {QUIT}
  %quit = load atomic i64, ptr %quit.at seq_cst, align 8
  %go_on = icmp eq i64 %quit, 0
  br i1 %go_on, label %stay, label %end
stay:
  call void @wait(ptr %team, i64 %me, i64 %seen)
  br label %next
end:
  ret void
}

; Run phases first … last - 1; the calling thread is number 0.
define void @narae_run(ptr %team, ptr %phases, i64 %first, i64 %last) #0 {
entry:
  %phases.at = getelementptr i8, ptr %team, i64 {JOB_PHASES}
  store ptr %phases, ptr %phases.at
  %phase.at = getelementptr i8, ptr %team, i64 {JOB_PHASE}
  %before = sub i64 %first, 1
  store i64 %before, ptr %phase.at
  %last.at = getelementptr i8, ptr %team, i64 {JOB_LAST}
  store i64 %last, ptr %last.at
  %over.at = getelementptr i8, ptr %team, i64 {OVER}
  store atomic i64 0, ptr %over.at seq_cst, align 8
  %epoch.at = getelementptr i8, ptr %team, i64 {EPOCH}
  call void @advance(ptr %team, i64 0)
  br label %next
next:
  %seen = load atomic i64, ptr %epoch.at seq_cst, align 8
  call void @work(ptr %team, i64 0)
  %over = load atomic i64, ptr %over.at seq_cst, align 8
  %go_on = icmp eq i64 %over, 0
  br i1 %go_on, label %stay, label %end
stay:
  call void @wait(ptr %team, i64 0, i64 %seen)
  br label %next
end:
  ret void
}

; Let all workers return.
define void @narae_stop(ptr %team) #0 {
  %quit.at = getelementptr i8, ptr %team, i64 {QUIT}
  store atomic i64 1, ptr %quit.at seq_cst, align 8
  call void @announce(ptr %team)
  %size.at = getelementptr i8, ptr %team, i64 {SIZE}
  %size = load i64, ptr %size.at
  call void @wake_some(ptr %team, i64 %size)
  ret void
}
"""
