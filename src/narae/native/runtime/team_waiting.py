"""How the threads of the team wait: spinning for a while, then asleep, in LLVM's text.

Who finds nothing to do spins on `epoch`, which changes with every phase, and then sleeps until it
is woken. "I sleep" and "there is work" may cross: who goes to sleep says so and then looks at the
epoch once more; who opens a phase changes the epoch and then looks who sleeps. In sequentially
consistent order, one of them sees the other.
"""


def waiting_text(platform: str, processor: str) -> str:
    """All functions that wait and wake; offsets stand in braces.

    Args:
        platform: as `sys.platform` names it: threads sleep in a different way on each.
        processor: the first part of LLVM's triple: "x86_64", "aarch64".
    """
    sleeping = _SLEEPING.get((platform, processor)) or _SLEEPING.get((platform, "")) or _PTHREADS
    return _TEXT.replace("{PAUSE}", _PAUSES.get(processor, "")) + sleeping


_PAUSES = {
    "x86_64": "call void @llvm.x86.sse2.pause()",
    "aarch64": "call void @llvm.aarch64.hint(i32 1)",
    "arm64": "call void @llvm.aarch64.hint(i32 1)",
}

_TEXT = r"""
declare void @llvm.x86.sse2.pause()
declare void @llvm.aarch64.hint(i32)
declare i64 @syscall(i64, ...)

; ---------------------------------------------------------------------------------- waiting

; Show those who spin that something has changed.
define internal void @announce(ptr %team) #0 {
  %epoch.at = getelementptr i8, ptr %team, i64 {EPOCH}
  %old = atomicrmw add ptr %epoch.at, i64 1 seq_cst
  ret void
}

; Wake the thread of a seat if it sleeps; 1 if it did.
define internal i64 @wake(ptr %team, ptr %seat) #0 {
entry:
  %asleep = load atomic i32, ptr %seat seq_cst, align 4
  %sleeps = icmp eq i32 %asleep, 1
  br i1 %sleeps, label %try, label %no
try:
  %was = atomicrmw xchg ptr %seat, i32 0 seq_cst
  %slept = icmp eq i32 %was, 1
  br i1 %slept, label %yes, label %no
yes:
  call void @keep_apart(ptr %team, ptr %seat)
  call void @unpark(ptr %seat)
  ret i64 1
no:
  ret i64 0
}

; Wake at most `limit` threads.
define internal void @wake_some(ptr %team, i64 %limit) #0 {
entry:
  %sleepers.at = getelementptr i8, ptr %team, i64 {SLEEPERS}
  %sleepers = load atomic i64, ptr %sleepers.at seq_cst, align 8
  %size.at = getelementptr i8, ptr %team, i64 {SIZE}
  %size = load i64, ptr %size.at
  %none = icmp eq i64 %sleepers, 0
  br i1 %none, label %end, label %head
head:
  %i = phi i64 [ 0, %entry ], [ %i.after, %body ]
  %woken = phi i64 [ 0, %entry ], [ %woken.after, %body ]
  %seats = icmp ult i64 %i, %size
  %few = icmp slt i64 %woken, %limit
  %more = and i1 %seats, %few
  br i1 %more, label %body, label %end
body:
  %seat = call ptr @seat_at(ptr %team, i64 %i)
  %one = call i64 @wake(ptr %team, ptr %seat)
  %woken.after = add i64 %woken, %one
  %i.after = add i64 %i, 1
  br label %head
end:
  ret void
}

; Wait until the epoch is no longer `seen`: spinning for a while, then asleep.
define internal void @wait(ptr %team, i64 %me, i64 %seen) #0 {
entry:
  %epoch.at = getelementptr i8, ptr %team, i64 {EPOCH}
  %spins.at = getelementptr i8, ptr %team, i64 {SPINS}
  %spins = load i64, ptr %spins.at
  %sleepers.at = getelementptr i8, ptr %team, i64 {SLEEPERS}
  %seat = call ptr @seat_at(ptr %team, i64 %me)
  br label %spin
spin:
  %i = phi i64 [ 0, %entry ], [ %i.after, %pause ]
  %now = load atomic i64, ptr %epoch.at acquire, align 8
  %same = icmp eq i64 %now, %seen
  br i1 %same, label %pause, label %end
pause:
  {PAUSE}
  %i.after = add i64 %i, 1
  %more = icmp ult i64 %i.after, %spins
  br i1 %more, label %spin, label %sleep
sleep:
  %a = atomicrmw add ptr %sleepers.at, i64 1 seq_cst
  %b = atomicrmw xchg ptr %seat, i32 1 seq_cst
  %latest = load atomic i64, ptr %epoch.at seq_cst, align 8
  %still = icmp eq i64 %latest, %seen
  br i1 %still, label %park, label %awake
park:
  call void @park(ptr %seat)
  %asleep = load atomic i32, ptr %seat seq_cst, align 4
  %again = icmp eq i32 %asleep, 1
  br i1 %again, label %park, label %awake
awake:
  %c = atomicrmw xchg ptr %seat, i32 0 seq_cst
  %d = atomicrmw sub ptr %sleepers.at, i64 1 seq_cst
  br label %end
end:
  ret void
}

; A few pauses: Python measures how long they take.
define void @narae_spin(i64 %count) #0 {
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.after, %next ]
  {PAUSE}
  %i.after = add i64 %i, 1
  %more = icmp ult i64 %i.after, %count
  br i1 %more, label %next, label %end
end:
  ret void
}
"""

# --- how threads sleep ----------------------------------------------------------------------
# park: sleep while the first word of the seat is 1; it may also return early.
# unpark: wake the thread that sleeps there; the word is 0 already.
# narae_prepare: make a seat ready.

_FUTEX = r"""
define internal void @park(ptr %seat) #0 {
  ; FUTEX_WAIT | FUTEX_PRIVATE_FLAG
  %r = call i64 (i64, ...) @syscall(i64 {FUTEX}, ptr %seat, i64 128, i64 1, ptr null)
  ret void
}

define internal void @unpark(ptr %seat) #0 {
  ; FUTEX_WAKE | FUTEX_PRIVATE_FLAG
  %r = call i64 (i64, ...) @syscall(i64 {FUTEX}, ptr %seat, i64 129, i64 1)
  ret void
}

define void @narae_prepare(ptr %seat) #0 {
  ret void
}
"""

_PTHREADS = r"""
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_signal(ptr)

define internal void @park(ptr %seat) #0 {
entry:
  %mutex = getelementptr i8, ptr %seat, i64 {SEAT_MUTEX}
  %condition = getelementptr i8, ptr %seat, i64 {SEAT_CONDITION}
  %a = call i32 @pthread_mutex_lock(ptr %mutex)
  br label %head
head:
  %asleep = load atomic i32, ptr %seat seq_cst, align 4
  %sleeps = icmp eq i32 %asleep, 1
  br i1 %sleeps, label %body, label %end
body:
  %b = call i32 @pthread_cond_wait(ptr %condition, ptr %mutex)
  br label %head
end:
  %c = call i32 @pthread_mutex_unlock(ptr %mutex)
  ret void
}

define internal void @unpark(ptr %seat) #0 {
  %mutex = getelementptr i8, ptr %seat, i64 {SEAT_MUTEX}
  %condition = getelementptr i8, ptr %seat, i64 {SEAT_CONDITION}
  %a = call i32 @pthread_mutex_lock(ptr %mutex)
  %b = call i32 @pthread_cond_signal(ptr %condition)
  %c = call i32 @pthread_mutex_unlock(ptr %mutex)
  ret void
}

define void @narae_prepare(ptr %seat) #0 {
  %mutex = getelementptr i8, ptr %seat, i64 {SEAT_MUTEX}
  %condition = getelementptr i8, ptr %seat, i64 {SEAT_CONDITION}
  %a = call i32 @pthread_mutex_init(ptr %mutex, ptr null)
  %b = call i32 @pthread_cond_init(ptr %condition, ptr null)
  ret void
}
"""

_WINDOWS = r"""
@asleep = private constant i32 1

declare i32 @WaitOnAddress(ptr, ptr, i64, i32)
declare void @WakeByAddressSingle(ptr)

define internal void @park(ptr %seat) #0 {
  %r = call i32 @WaitOnAddress(ptr %seat, ptr @asleep, i64 4, i32 -1)
  ret void
}

define internal void @unpark(ptr %seat) #0 {
  call void @WakeByAddressSingle(ptr %seat)
  ret void
}

define void @narae_prepare(ptr %seat) #0 {
  ret void
}
"""

# Measured on Linux only: futex and pthreads. What Windows does was written by its documentation.
_SLEEPING = {
    ("linux", "x86_64"): _FUTEX.replace("{FUTEX}", "202"),
    ("linux", "aarch64"): _FUTEX.replace("{FUTEX}", "98"),
    ("win32", ""): _WINDOWS,
}
