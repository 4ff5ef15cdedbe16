// Who makes the packets of a topology and puts them onto its wire.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kernel/bpf/testing/program_set.h"
#include "perf/bpf/load.h"

namespace sluice::perf {

enum class GeneratorKind { kLiveFrames, kAfXdp, kDpdkAfPacket, kDpdkAfXdp };

// One pod's. It lives as long as its topology, whose programs are attached before it is made.
class Generator {
 public:
  virtual ~Generator() = default;
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  // Lets `packets` frames of kFrameBytes out by the pod's eth0, each as perf_write_packet() writes the next one of
  // `load`. Runs on the measured CPU, in the pod's namespace, on another thread each time. Returns when the last frame
  // has left: how many nanoseconds of this CPU it took, with all softirqs that it raised there; 0 where that cannot be
  // told, which does for a node that receives on another CPU.
  virtual StatusOr<std::uint64_t> Send(const perf_load& load, std::uint32_t packets) = 0;

 protected:
  Generator() = default;
};

// Test runs with live frames of rate_generate (perf/bpf/rate.bpf.c), which `programs` holds; it must live longer.
StatusOr<std::unique_ptr<Generator>> MakeLiveFrames(const bpf::ProgramSet& programs, std::uint32_t ifindex);
// An AF_XDP socket in copy mode, on the eth0 of the calling thread's namespace. Does not tell its time.
StatusOr<std::unique_ptr<Generator>> MakeAfXdp();

// sluice-traffic as a child for each Send, by DPDK's driver net_af_packet or net_af_xdp. Does not tell its time.
StatusOr<std::unique_ptr<Generator>> MakeDpdk(const std::string& driver);

}  // namespace sluice::perf
