// The programs of cgroup/: they translate Services at the sockets of pods. They are attached to the root of the
// cgroups, share their maps with the packet path by pins, and stay attached when the agent ends. The next agent puts
// its programs in the place of the earlier ones, in one step each: two at a time would take each other's translations
// apart.
//
//   auto programs = ServicePrograms::Start({.pin_root = root});   // after the packet path was loaded
//
// Thread-safe. No threads.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "bpf/abi/service.h"
#include "kernel/bpf/admin_calls.h"
#include "kernel/bpf/features.h"
#include "kernel/bpf/pin_layout.h"

struct bpf_program;
struct service_bpf;

namespace sluice::bpf {

class ServicePrograms {
 public:
  // FailedPrecondition with the verifier's last lines, or the program that cannot be attached; PermissionDenied.
  static StatusOr<std::unique_ptr<ServicePrograms>> Start(const std::string& pin_root);
  ~ServicePrograms();
  ServicePrograms(const ServicePrograms&) = delete;
  ServicePrograms& operator=(const ServicePrograms&) = delete;

  // Attaches and pins again what others detached or unpinned. Returns how many.
  StatusOr<int> Repair();

  // The connected UDP sockets of a network namespace whose backend their Service no longer has, each once.
  StatusOr<std::vector<sl_stale_socket>> FindStaleSockets(const AdminCalls& calls, int netns_fd);

  std::vector<Feature> features() const;

  // Ends the programs: sockets use what was translated for them, and nothing more is translated.
  static Status Release(const PinLayout& layout);

 private:
  struct Attached {
    bpf_program* program = nullptr;
    std::string pin;
    Fd link;
  };
  explicit ServicePrograms(service_bpf* skeleton) : skeleton_(skeleton) {}
  Status Load(const PinLayout& layout);
  Status Attach(const PinLayout& layout);
  Status AttachNew(Attached& one) const;

  service_bpf* skeleton_;
  bool can_set_error_ = false;
  Fd root_;
  std::mutex mutex_;
  std::vector<Attached> attached_;  // guarded by mutex_
};

}  // namespace sluice::bpf
