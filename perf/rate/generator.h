// Generators that make the packets of a topology and send them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kernel/bpf/testing/program_set.h"
#include "perf/bpf/load.h"

namespace sluice::perf {

enum class GeneratorKind { kLiveFrames, kAfXdp, kDpdkAfPacket, kDpdkAfXdp };

// Sends for one pod. It lives as long as its topology, whose programs are attached before the generator is made.
class Generator {
 public:
  virtual ~Generator() = default;
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  // Sends `packets` frames of kFrameBytes through the pod's eth0, each written by perf_write_packet() from `load`. Runs
  // on the measured CPU, in the pod's namespace, on a new thread each time. Returns when the last frame has left: the
  // nanoseconds of this CPU, including all softirqs raised there. 0 when the generator cannot measure it; that is
  // enough for a node that receives on another CPU.
  virtual StatusOr<std::uint64_t> Send(const perf_load& load, std::uint32_t packets) = 0;

 protected:
  Generator() = default;
};

// Test runs with live frames of rate_generate (perf/bpf/rate.bpf.c), which `programs` holds; it must live longer.
StatusOr<std::unique_ptr<Generator>> MakeLiveFrames(const bpf::ProgramSet& programs, std::uint32_t ifindex);
// An AF_XDP socket in copy mode, on the eth0 of the calling thread's namespace. Does not measure its time.
StatusOr<std::unique_ptr<Generator>> MakeAfXdp();

// sluice-traffic as a child for each Send, by DPDK's driver net_af_packet or net_af_xdp. Does not measure its time.
StatusOr<std::unique_ptr<Generator>> MakeDpdk(const std::string& driver);

}  // namespace sluice::perf
