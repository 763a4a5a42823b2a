"""Where the threads of the team run: not on the processor of the one who wakes them.

A system may wake a thread on the processor of the one who wakes it, who goes on working there. The
woken thread then waits in its line until there is nothing left to do, while another processor is
idle; and since it hardly ever runs, the system sees no reason to move it. (Measured on a virtual
machine with two processors: steps of 1 ms took as long as with one thread, for seconds.) So before
a thread is woken from another processor than the last time, that processor is taken off the list of
those it may run on. Only Linux is told; elsewhere it is left to the system.
"""


def places_text(platform: str, processor: str) -> str:
    """`keep_apart`; offsets stand in braces.

    Args:
        platform: as `sys.platform` names it.
        processor: the first part of LLVM's triple: "x86_64", "aarch64".
    """
    calls = _CALLS.get((platform, processor))
    if calls is None:
        return _NOWHERE
    getcpu, setaffinity = calls
    return _LINUX.replace("{GETCPU}", getcpu).replace("{SETAFFINITY}", setaffinity)


# The numbers of the system calls getcpu and sched_setaffinity.
_CALLS = {("linux", "x86_64"): ("309", "203"), ("linux", "aarch64"): ("168", "122")}

_NOWHERE = r"""
define internal void @keep_apart(ptr %team, ptr %seat) #0 {
  ret void
}
"""

_LINUX = r"""
; Let the thread of a seat, which sleeps, wake on another processor than this one.
define internal void @keep_apart(ptr %team, ptr %seat) #0 {
entry:
  %others = alloca <8 x i64>, align 64
  %here.at = alloca i32, align 4
  %thread.at = getelementptr i8, ptr %seat, i64 {SEAT_THREAD}
  %thread = load i64, ptr %thread.at
  %may_move = icmp ne i64 %thread, 0
  br i1 %may_move, label %look, label %end
look:
  store i32 -1, ptr %here.at
  %a = call i64 (i64, ...) @syscall(i64 {GETCPU}, ptr %here.at, ptr null, ptr null)
  %here = load i32, ptr %here.at
  %number = add i32 %here, 1 ; 0: kept apart from none
  %apart.at = getelementptr i8, ptr %seat, i64 {SEAT_APART}
  %apart = load i32, ptr %apart.at
  %other = icmp ne i32 %number, %apart
  %listed = icmp ult i32 %here, {PROCESSORS_LISTED}
  %move = and i1 %other, %listed
  br i1 %move, label %away, label %end
away:
  store i32 %number, ptr %apart.at
  %all.at = getelementptr i8, ptr %team, i64 {PROCESSORS}
  %all = load <8 x i64>, ptr %all.at, align 8
  store <8 x i64> %all, ptr %others
  %byte.number = lshr i32 %here, 3
  %byte.at = getelementptr i8, ptr %others, i32 %byte.number
  %byte = load i8, ptr %byte.at
  %bit.number = and i32 %here, 7
  %bit.wide = shl i32 1, %bit.number
  %bit = trunc i32 %bit.wide to i8
  %mask = xor i8 %bit, -1
  %without = and i8 %byte, %mask
  store i8 %without, ptr %byte.at
  %b = call i64 (i64, ...) @syscall(i64 {SETAFFINITY}, i64 %thread, i64 64, ptr %others)
  br label %end
end:
  ret void
}
"""
