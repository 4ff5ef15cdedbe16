// Sends frames with an AF_XDP socket.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"

namespace sluice::bpf {

// Not thread-safe. Any thread may use it, in any network namespace.
class XdpSender {
 public:
  // Uses the first queue of an interface of the thread's network namespace, in copy mode, which every driver supports.
  // Attaches no program.
  static StatusOr<std::unique_ptr<XdpSender>> Open(const std::string& interface);
  ~XdpSender();
  XdpSender(const XdpSender&) = delete;
  XdpSender& operator=(const XdpSender&) = delete;

  // Sends `frames` frames of `size` bytes (at most 2048). `write` fills each frame; the buffer holds old data. Returns
  // when all frames are received or dropped. DeadlineExceeded: no frame has completed for 5 seconds.
  Status Send(std::uint32_t frames, std::uint32_t size, const std::function<void(std::uint8_t*)>& write);

 private:
  struct Rings;
  explicit XdpSender(std::unique_ptr<Rings> rings);
  bool Reclaim();

  std::unique_ptr<Rings> rings_;
};

}  // namespace sluice::bpf
