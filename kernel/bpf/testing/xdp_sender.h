// Sends frames by an AF_XDP socket.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"

namespace sluice::bpf {

// For one thread at a time, in any namespace.
class XdpSender {
 public:
  // On the first queue of an interface of this thread's namespace, in copy mode, which every driver supports. No
  // program is attached.
  static StatusOr<std::unique_ptr<XdpSender>> Open(const std::string& interface);
  ~XdpSender();
  XdpSender(const XdpSender&) = delete;
  XdpSender& operator=(const XdpSender&) = delete;

  // Sends `frames` frames of `size` bytes each (at most 2048). `write` must fill all of them, as old contents remain.
  // Returns when the kernel is done with all: they were received or dropped. DeadlineExceeded: no progress for seconds.
  Status Send(std::uint32_t frames, std::uint32_t size, const std::function<void(std::uint8_t*)>& write);

 private:
  struct Rings;
  explicit XdpSender(std::unique_ptr<Rings> rings);
  bool Reclaim();

  std::unique_ptr<Rings> rings_;
};

}  // namespace sluice::bpf
