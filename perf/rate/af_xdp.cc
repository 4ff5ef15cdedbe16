#include "kernel/bpf/testing/xdp_sender.h"
#include "perf/rate/frame.h"
#include "perf/rate/generator.h"

namespace sluice::perf {
namespace {

class AfXdp : public Generator {
 public:
  explicit AfXdp(std::unique_ptr<bpf::XdpSender> sender) : sender_(std::move(sender)) {}

  StatusOr<std::uint64_t> Send(const perf_load& load, std::uint32_t packets) override {
    perf_load state = load;
    SL_RETURN_IF_ERROR(
        sender_->Send(packets, kFrameBytes, [&state](std::uint8_t* frame) { perf_write_packet(&state, frame); }));
    return std::uint64_t{0};
  }

 private:
  const std::unique_ptr<bpf::XdpSender> sender_;
};

}  // namespace

StatusOr<std::unique_ptr<Generator>> MakeAfXdp() {
  SL_ASSIGN_OR_RETURN(auto sender, bpf::XdpSender::Open("eth0"));
  return std::make_unique<AfXdp>(std::move(sender));
}

}  // namespace sluice::perf
