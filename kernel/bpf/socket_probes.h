// The socket probes of bpf/sensors: they write into each socket which process acts on it, for the packet path to
// read. Their maps are shared with it and with the process sensors by pins. The probes go with this object; what they
// wrote stays with the sockets.
//
//   auto probes = SocketProbes::Start({.pin_root = root});   // after the process sensors were seeded
//
// Sockets that are open already get their owner during Start (bpf/sensors/socket_seed.bpf.h). No threads.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernel/bpf/features.h"
#include "kernel/bpf/probe_pins.h"

struct bpf_link;
struct bpf_map;
struct bpf_program;
struct socket_bpf;

namespace sluice::bpf {

enum class SocketBackEnd { kAuto, kFunction, kTracepoint };

// "auto", "function", "tracepoint".
const char* ToString(SocketBackEnd back_end);

struct SocketProbeOptions {
  std::string pin_root;  // empty: nothing is pinned, and nobody reads what the probes write
  SocketBackEnd back_end = SocketBackEnd::kAuto;
};

class SocketProbes {
 public:
  // Automatic: functions where this kernel lets programs attach to them, else tracepoints. FailedPrecondition with the
  // verifier's last lines, or what cannot be attached; PermissionDenied.
  static StatusOr<std::unique_ptr<SocketProbes>> Start(const SocketProbeOptions& options);
  ~SocketProbes();
  SocketProbes(const SocketProbes&) = delete;
  SocketProbes& operator=(const SocketProbes&) = delete;

  SocketBackEnd back_end() const { return back_end_; }
  Feature feature() const;

 private:
  SocketProbes(socket_bpf* skeleton, SocketBackEnd back_end) : skeleton_(skeleton), back_end_(back_end) {}
  static StatusOr<std::unique_ptr<SocketProbes>> StartWith(SocketBackEnd back_end, const SocketProbeOptions& options);
  Status Load(const SocketProbeOptions& options);
  Status Attach();
  Status Seed();

  socket_bpf* skeleton_;
  const SocketBackEnd back_end_;
  std::vector<AttachedProbe> links_;
};

}  // namespace sluice::bpf
