// The socket probes of bpf/sensors: they write into each socket the process that acts on it, for the packet path. They
// share their maps with it and with the process sensors by pins. Without pins, the probes end with this object; the
// sockets keep their data.
//
//   auto probes = SocketProbes::Start({.pin_root = root});   // after the process sensors were seeded
//
// Sockets that are open already get their owner during Start (bpf/sensors/socket_seed.bpf.h). No threads.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernel/bpf/admin_calls.h"
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
  std::string pin_root;  // empty: nothing is pinned, and the probes' data is not used
  SocketBackEnd back_end = SocketBackEnd::kAuto;
  const AdminCalls* admin_calls = nullptr;  // null: the calling process has the right itself
};

class SocketProbes {
 public:
  // kAuto: functions if this kernel lets programs attach to them, else tracepoints. FailedPrecondition with the
  // verifier's last lines, or the program that cannot be attached; PermissionDenied.
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
  Status Seed(const AdminCalls& calls);

  socket_bpf* skeleton_;
  const SocketBackEnd back_end_;
  std::vector<AttachedProbe> links_;
};

}  // namespace sluice::bpf
