#include "perf/update/traffic.h"

#include <sched.h>

#include "perf/cpu.h"

namespace sluice::perf {
namespace {

using Clock = std::chrono::steady_clock;

// Packets in one test run. Between two runs the CPU passes a quiescent state of RCU, as between two polls of a NIC.
// Without it, on an otherwise idle CPU, each grace period would take 100 ms until RCU forces it.
constexpr std::uint32_t kPacketsAtOnce = 2000;

struct Passed {
  std::uint64_t packets = 0;
  double nanoseconds = 0;
  Status status;
};

void Send(ProbePacket packet, const std::atomic<bool>& stopping, Passed* passed) {
  packet.input.repeat = kPacketsAtOnce;
  const auto run = [&]() -> Status {
    SL_ASSIGN_OR_RETURN(const int cpu, MeasuredCpu());
    SL_RETURN_IF_ERROR(StayOn(cpu));
    do {
      sched_yield();  // enters the scheduler even when no other task wants the CPU
      SL_ASSIGN_OR_RETURN(const bpf::TestRunOutput output, bpf::TestRunTc(packet.program_fd, packet.input));
      passed->packets += kPacketsAtOnce;
      passed->nanoseconds += static_cast<double>(output.nanoseconds) * kPacketsAtOnce;
    } while (!stopping);
    return OkStatus();
  };
  passed->status = run();
}

StatusOr<std::uint64_t> Forwarded(datapath::BpfDatapath* datapath) {
  SL_ASSIGN_OR_RETURN(const datapath::Counters counters, datapath->ReadCounters());
  return counters.packets[SL_HOOK_TC_TO_POD][SL_DROP_NONE].packets;
}

// Makes one client's updates until `end`; returns how many were enforced by then.
StatusOr<int> Update(int client, const ClientUpdate& update, const TrafficRun& run, Clock::time_point end) {
  const Clock::time_point start = Clock::now();
  int updates = 0, enforced = 0;
  while (Clock::now() < end) {
    SL_RETURN_IF_ERROR(update(client, updates++));
    if (Clock::now() <= end) ++enforced;
    // Catches up after a delay, so that the requested rate is reached where possible.
    if (run.updates > 0)
      std::this_thread::sleep_until(
          std::min(end, start + std::chrono::nanoseconds(1000000000LL * updates * run.clients / run.updates)));
  }
  return enforced;
}

// Returns how many updates were enforced in the run's time.
StatusOr<int> UpdateFromAll(const ClientUpdate& update, const TrafficRun& run) {
  const Clock::time_point end = Clock::now() + run.duration;
  std::vector<StatusOr<int>> counts(run.clients, 0);
  std::vector<std::thread> clients;
  for (int client = 0; client < run.clients; ++client)
    clients.emplace_back([&, client] { counts[client] = Update(client, update, run, end); });
  for (std::thread& client : clients) client.join();
  std::this_thread::sleep_until(end);
  int updates = 0;
  for (const StatusOr<int>& count : counts) {
    SL_RETURN_IF_ERROR(count.status());
    updates += *count;
  }
  return updates;
}

}  // namespace

Status MeasureTraffic(datapath::BpfDatapath* datapath, const ClientUpdate& update, const ProbePacket& packet,
                      const TrafficRun& run, Rows* rows) {
  SL_ASSIGN_OR_RETURN(const std::uint64_t before, Forwarded(datapath));
  std::atomic<bool> stopping = false;
  Passed passed;
  std::thread sender(Send, packet, std::cref(stopping), &passed);
  const StatusOr<int> updates = UpdateFromAll(update, run);
  stopping = true;
  sender.join();
  SL_RETURN_IF_ERROR(updates.status());
  SL_RETURN_IF_ERROR(passed.status);
  SL_ASSIGN_OR_RETURN(const std::uint64_t after, Forwarded(datapath));
  const std::string name = fmt::format("traffic/{}", run.name);
  rows->Add(name, "ns a packet", passed.nanoseconds / static_cast<double>(passed.packets), {"traffic/quiet"});
  if (run.updates == 0) return OkStatus();
  rows->Add(name + "/achieved", "updates a second", *updates / std::chrono::duration<double>(run.duration).count());
  rows->Add(name + "/lost", "packets", static_cast<double>(passed.packets - (after - before)));
  return OkStatus();
}

}  // namespace sluice::perf
