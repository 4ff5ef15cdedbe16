#include "perf/hooks/event_cost.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

#include "kernel/bpf/object.h"
#include "kernel/bpf/process_probes.h"
#include "perf/cpu.h"
#include "perf/elapsed.h"
#include "perf/exec/kernel_time.h"
#include "perf/hooks/digest.h"
#include "perf/hooks/thread_time.h"
#include "perf/orderly_end.h"

namespace sluice::perf {
namespace {

using namespace std::chrono_literals;

constexpr auto kPoll = 20ms;  // as the agent
constexpr auto kPatience = 10s;
constexpr int kFloodMode = 0x200;  // of access, which refuses it at once
constexpr char kEventPolicy[] = "event", kFloodCall[] = "sys_faccessat2";

// Reads the ring from the CPU where it was made, until it is destroyed.
class Reader {
 public:
  explicit Reader(bpf::HookPrograms* programs) : programs_(*programs), thread_(&Reader::Run, this) {}
  ~Reader() {
    stopping_ = true;
    programs_.Wake();
    thread_.join();
  }

 private:
  void Run() {
    while (!stopping_) {
      programs_.Wait(kPoll);
      programs_.Drain();
    }
  }

  bpf::HookPrograms& programs_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

OneHook ExecOf(const std::string& path) {
  return {.function = "sys_execve", .argument = 0, .type = "string", .value = path};
}
// Meets none of the spawner's calls.
OneHook Idle() { return {.function = "sys_swapoff", .argument = 0, .type = "string", .value = "/no/such/file"}; }

// Runs of the program at entries of system calls, while the spawner runs with this hook.
StatusOr<bpf::ProgramRuns> RunsWith(const OneHook& hook, const EventSizes& sizes, const Spawner& spawner,
                                    HookWorld* world) {
  const char* const name = world->calls_by_tracepoint() ? "traced_call_enter" : "system_call_enter";
  const int program = world->programs().program_fd(name);
  SL_RETURN_IF_ERROR(world->Put(PolicyOf(kEventPolicy, hook)));
  SL_ASSIGN_OR_RETURN(const bpf::ProgramRuns before, bpf::ReadProgramRuns(program));
  {
    SL_ASSIGN_OR_RETURN(const Fd counting, CountRuns());
    SL_RETURN_IF_ERROR(spawner.Run(sizes.starts).status());
  }
  SL_ASSIGN_OR_RETURN(const bpf::ProgramRuns after, bpf::ReadProgramRuns(program));
  return bpf::ProgramRuns{after.count - before.count, after.nanoseconds - before.nanoseconds};
}

// Nanoseconds that the kernel's part of one event takes. The program at the tracepoint of all system calls also runs
// for those that are not hooked: what these take is measured with a hook that none of them meets.
StatusOr<double> KernelTimeOfHook(const EventSizes& sizes, const Spawner& spawner, HookWorld* world) {
  const auto starts = static_cast<std::uint64_t>(sizes.starts);
  SL_ASSIGN_OR_RETURN(const bpf::ProgramRuns idle, RunsWith(Idle(), sizes, spawner, world));
  SL_RETURN_IF_ERROR(world->ExpectMatches(kEventPolicy, 0));
  SL_RETURN_IF_ERROR(world->Clear());
  SL_ASSIGN_OR_RETURN(const bpf::ProgramRuns runs, RunsWith(ExecOf(spawner.path()), sizes, spawner, world));
  SL_RETURN_IF_ERROR(world->ExpectMatches(kEventPolicy, starts));
  SL_RETURN_IF_ERROR(world->Clear());
  if (runs.count < starts)
    return MakeError(absl::StatusCode::kInternal, "the hook's program ran {} times in {} program starts", runs.count,
                     starts);
  const double other_run =
      idle.count == 0 ? 0 : static_cast<double>(idle.nanoseconds) / static_cast<double>(idle.count);
  const double others = static_cast<double>(runs.count - starts) * other_run;
  return (static_cast<double>(runs.nanoseconds) - others) / static_cast<double>(starts);
}

// Nanoseconds for each of the records that `drain` passes on.
StatusOr<double> ReadTime(const std::function<StatusOr<int>()>& drain, int at_least) {
  const double start = ThreadNanoseconds();
  SL_ASSIGN_OR_RETURN(const int records, drain());
  const double time = ThreadNanoseconds() - start;
  if (records < at_least)
    return MakeError(absl::StatusCode::kInternal, "{} events were in the ring, not {}", records, at_least);
  return time / records;
}

StatusOr<double> ReadTimeOfHook(const EventSizes& sizes, const Spawner& spawner, HookWorld* world) {
  const int reads = sizes.reads;
  SL_RETURN_IF_ERROR(world->Put(PolicyOf(kEventPolicy, ExecOf(spawner.path()))));
  world->programs().Drain();
  SL_RETURN_IF_ERROR(spawner.Run(reads).status());
  const auto time = ReadTime([&]() -> StatusOr<int> { return world->programs().Drain(); }, reads);
  SL_RETURN_IF_ERROR(world->Clear());
  return time;
}

// Of starts, execs and ends of programs, each with a record of its own.
StatusOr<double> ReadTimeOfExec(const EventSizes& sizes, const Spawner& spawner) {
  Digest digest;
  SL_ASSIGN_OR_RETURN(const auto probes, bpf::ProcessProbes::Start({}, [&](const void* record, std::size_t size) {
                        digest.Add(record, size);
                      }));
  SL_RETURN_IF_ERROR(probes->Seed());
  SL_RETURN_IF_ERROR(probes->Drain().status());
  SL_RETURN_IF_ERROR(spawner.Run(sizes.reads).status());
  return ReadTime([&] { return probes->Drain(); }, 3 * sizes.reads);
}

void AddParts(const std::string& of, double kernel, double read, Rows* rows) {
  const auto row = [](const std::string& name, const char* part) { return "event/" + name + part; };
  rows->Add(row(of, ""), "ns an event", kernel + read, {row("exec", "")});
  rows->Add(row(of, "/kernel"), "ns an event", kernel, {row("exec", "/kernel")});
  rows->Add(row(of, "/read"), "ns an event", read, {row("exec", "/read")});
}

}  // namespace

std::vector<std::string> EventRows() {
  return {"event/exec", "event/exec/kernel", "event/exec/read", "event/hook", "event/hook/kernel", "event/hook/read"};
}
std::vector<std::string> FloodRows() { return {"flood/read", "flood/lost"}; }

Status MeasureEventCost(const EventSizes& sizes, const Spawner& spawner, HookWorld* world, Rows* rows) {
  SL_ASSIGN_OR_RETURN(const int measured, MeasuredCpu());
  SL_ASSIGN_OR_RETURN(const int other, OtherCpu());
  for (int round = 0; round < sizes.rounds; ++round) {
    SL_RETURN_IF_ERROR(OrderlyEnd::Check());
    SL_ASSIGN_OR_RETURN(const KernelTime sensors, MeasureKernelTime(spawner, sizes.starts));
    SL_RETURN_IF_ERROR(StayOn(measured));
    SL_ASSIGN_OR_RETURN(const double exec_read, ReadTimeOfExec(sizes, spawner));
    AddParts("exec", sensors.each.at("exec"), exec_read, rows);
    double kernel = 0;
    {
      SL_RETURN_IF_ERROR(StayOn(other));
      const Reader reader(&world->programs());
      SL_RETURN_IF_ERROR(StayOn(measured));
      SL_ASSIGN_OR_RETURN(kernel, KernelTimeOfHook(sizes, spawner, world));
    }
    SL_ASSIGN_OR_RETURN(const double read, ReadTimeOfHook(sizes, spawner, world));
    AddParts("hook", kernel, read, rows);
  }
  return OkStatus();
}

Status MeasureEventFlood(const EventSizes& sizes, HookWorld* world, Rows* rows) {
  SL_ASSIGN_OR_RETURN(const int measured, MeasuredCpu());
  SL_ASSIGN_OR_RETURN(const int other, OtherCpu());
  const auto calls = static_cast<std::uint64_t>(sizes.calls);
  for (int round = 0; round < sizes.floods; ++round) {
    SL_RETURN_IF_ERROR(OrderlyEnd::Check());
    SL_RETURN_IF_ERROR(world->Put(PolicyOf(
        kEventPolicy, {.function = kFloodCall, .argument = 2, .type = "int", .value = std::to_string(kFloodMode)})));
    SL_RETURN_IF_ERROR(StayOn(other));
    world->programs().Drain();  // what earlier measurements left
    const std::uint64_t before = world->events_read();
    std::uint64_t read = 0, lost = 0;
    double milliseconds = 0;
    {
      const Reader reader(&world->programs());
      SL_RETURN_IF_ERROR(StayOn(measured));
      const auto start = Clock::now();
      for (std::uint64_t i = 0; i < calls; ++i) syscall(SYS_faccessat2, AT_FDCWD, "", kFloodMode, 0);
      SL_ASSIGN_OR_RETURN(lost, world->Count(kEventPolicy, SL_HOOK_COUNT_LOST));
      const auto sent = Clock::now();
      while ((read = world->events_read() - before) + lost < calls && Clock::now() - sent < kPatience)
        std::this_thread::yield();
      milliseconds = MillisecondsSince(start);
    }
    SL_RETURN_IF_ERROR(world->ExpectMatches(kEventPolicy, calls));
    if (read + lost != calls)
      return MakeError(absl::StatusCode::kInternal, "{} events read and {} lost of {}", read, lost, calls);
    SL_RETURN_IF_ERROR(world->Clear());
    rows->Add("flood/read", "thousand events a second", static_cast<double>(read) / milliseconds);
    rows->Add("flood/lost", "events", static_cast<double>(lost));
  }
  return OkStatus();
}

}  // namespace sluice::perf
