#include "kernel/bpf/map.h"
#include "kernel/bpf/testing/test_run.h"
#include "perf/rate/frame.h"
#include "perf/rate/generator.h"

namespace sluice::perf {
namespace {

class LiveFrames : public Generator {
 public:
  LiveFrames(bpf::Map<__u32, perf_load> load, int program_fd, std::uint32_t ifindex)
      : load_(std::move(load)), program_fd_(program_fd), ifindex_(ifindex) {}

  StatusOr<std::uint64_t> Send(const perf_load& load, std::uint32_t packets) override {
    SL_RETURN_IF_ERROR(load_.Put(0, load));
    return bpf::TestRunXdpLive(
        program_fd_, {.frame = std::vector<std::uint8_t>(kFrameBytes), .ifindex = ifindex_, .repeat = packets});
  }

 private:
  const bpf::Map<__u32, perf_load> load_;
  const int program_fd_;
  const std::uint32_t ifindex_;
};

}  // namespace

StatusOr<std::unique_ptr<Generator>> MakeLiveFrames(const bpf::ProgramSet& programs, std::uint32_t ifindex) {
  SL_ASSIGN_OR_RETURN(auto load, (bpf::Map<__u32, perf_load>::Bind(programs.map_fd("load"), "load")));
  return std::make_unique<LiveFrames>(std::move(load), programs.program_fd("rate_generate"), ifindex);
}

}  // namespace sluice::perf
