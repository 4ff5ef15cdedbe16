#include "perf/program/runner.h"

#include "perf/embedded_object.h"
#include "perf/program/frame.h"

PERF_EMBEDDED_OBJECT(programs)  // perf/bpf/programs.bpf.c

namespace sluice::perf {
namespace {

constexpr std::uint32_t kIpv4Source = 14 + 12, kIpv4Destination = 14 + 16;  // in an Ethernet frame

}  // namespace

StatusOr<Runner> Runner::Create(const RunnerOptions& options) {
  const std::uint32_t slots = options.slots ? PERF_SLOTS : 1;
  SL_ASSIGN_OR_RETURN(auto programs, bpf::ProgramSet::Load("perf_programs", perf_programs_object(),
                                                           {{"flows", options.hash_entries},
                                                            {"buckets", options.slots ? PERF_SLOT_BUCKETS : 1},
                                                            {"slots280", slots},
                                                            {"slots256", slots},
                                                            {"slots128", slots},
                                                            {"slots64", slots}}));
  Runner runner(std::move(programs), options.instructions);
  const auto& set = runner.programs_;
  SL_ASSIGN_OR_RETURN(runner.rotation_, (bpf::Map<__u32, perf_rotation>::Bind(set.map_fd("rotation"), "rotation")));
  for (const bool xdp : {false, true}) {
    const std::string kind = xdp ? "xdp" : "tc";
    SL_ASSIGN_OR_RETURN(runner.targets_[xdp],
                        (bpf::Map<__u32, __u32>::Bind(set.map_fd(kind + "_target"), kind + "_target")));
    runner.wrapper_fd_[xdp] = set.program_fd(kind + "_rotate");
  }
  return runner;
}

StatusOr<ProgramOutput> Runner::TestRun(int fd, bool xdp, const bpf::TestRunInput& input) const {
  if (instructions_ != nullptr) SL_RETURN_IF_ERROR(instructions_->Start());
  const auto output = xdp ? bpf::TestRunXdp(fd, input) : bpf::TestRunTc(fd, input);
  SL_RETURN_IF_ERROR(output.status());
  ProgramOutput result{output->verdict, {.nanoseconds = static_cast<double>(output->nanoseconds)}};
  if (instructions_ == nullptr) return result;
  const StatusOr<std::uint64_t> counted = instructions_->Stop();
  if (counted.ok()) result.cost.instructions = static_cast<double>(*counted) / input.repeat;
  if (!counted.ok() && !absl::IsUnavailable(counted.status())) return counted.status();
  return result;
}

StatusOr<ProgramOutput> Runner::Run(const ProgramRun& run) const {
  int fd = run.program_fd;
  if (run.flows > 1) {
    const perf_rotation rotation{.state = run.first_flow,
                                 .flows = run.flows,
                                 .random = run.random,
                                 .l4_offset = Layer4Offset(run.v6),
                                 .answer = run.answer,
                                 .addresses = run.addresses.count,
                                 .address_offset = run.addresses.destination ? kIpv4Destination : kIpv4Source,
                                 .first_address = run.addresses.first,
                                 .address_step = run.addresses.step};
    SL_RETURN_IF_ERROR(rotation_.Put(0, rotation));
    SL_RETURN_IF_ERROR(targets_[run.xdp].Put(0, static_cast<__u32>(run.program_fd)));
    fd = wrapper_fd_[run.xdp];
  }
  return TestRun(fd, run.xdp, run.input);
}

}  // namespace sluice::perf
