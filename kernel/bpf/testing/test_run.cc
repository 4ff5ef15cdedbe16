#include "kernel/bpf/testing/test_run.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <cerrno>

namespace sluice::bpf {
namespace {

constexpr std::size_t kHeadroomForGrowth = 256;

StatusOr<TestRunOutput> Run(int program_fd, const TestRunInput& input, void* context, std::uint32_t context_size) {
  TestRunOutput output;
  output.frame.resize(input.frame.size() + kHeadroomForGrowth);
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = input.frame.data(), .data_out = output.frame.data(),
              .data_size_in = static_cast<__u32>(input.frame.size()),
              .data_size_out = static_cast<__u32>(output.frame.size()), .ctx_in = context, .ctx_size_in = context_size,
              .repeat = static_cast<int>(input.repeat));
  if (const int rc = bpf_prog_test_run_opts(program_fd, &options); rc != 0)
    return ErrnoError(rc, "test run on a frame of {} bytes at ifindex {}", input.frame.size(), input.ifindex);
  output.verdict = options.retval;
  output.frame.resize(options.data_size_out);
  output.nanoseconds = options.duration;
  return output;
}

}  // namespace

StatusOr<TestRunOutput> TestRunTc(int program_fd, const TestRunInput& input) {
  __sk_buff context{};
  context.ifindex = input.ifindex;
  context.ingress_ifindex = input.ingress_ifindex;
  context.gso_segs = input.gso_segments;
  return Run(program_fd, input, &context, sizeof(context));
}

StatusOr<TestRunOutput> TestRunXdp(int program_fd, const TestRunInput& input) {
  if (input.ifindex == 0) return Run(program_fd, input, nullptr, 0);
  xdp_md context{};
  context.data_end = static_cast<__u32>(input.frame.size());
  context.ingress_ifindex = input.ifindex;
  return Run(program_fd, input, &context, sizeof(context));
}

StatusOr<std::uint64_t> TestRunXdpLive(int program_fd, const TestRunInput& input) {
  xdp_md context{};
  context.data_end = static_cast<__u32>(input.frame.size());
  context.ingress_ifindex = input.ifindex;
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = input.frame.data(),
              .data_size_in = static_cast<__u32>(input.frame.size()), .ctx_in = &context,
              .ctx_size_in = sizeof(context), .repeat = static_cast<int>(input.repeat),
              .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
  if (const int rc = bpf_prog_test_run_opts(program_fd, &options); rc != 0)
    return ErrnoError(rc, "test run of {} live frames at ifindex {}", input.repeat, input.ifindex);
  return std::uint64_t{options.duration} * input.repeat;
}

}  // namespace sluice::bpf
