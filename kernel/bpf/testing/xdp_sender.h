// Frames out by an AF_XDP socket.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"

namespace sluice::bpf {

// For one thread at a time, in whatever namespace.
class XdpSender {
 public:
  // On the first queue of an interface of this thread's namespace, in copy mode, which every driver knows. No program
  // is attached.
  static StatusOr<std::unique_ptr<XdpSender>> Open(const std::string& interface);
  ~XdpSender();
  XdpSender(const XdpSender&) = delete;
  XdpSender& operator=(const XdpSender&) = delete;

  // Lets `frames` frames out, each of `size` bytes (at most 2048) that `write` has filled, whatever they held. Returns
  // when the kernel is done with all: their receiver has them, or they were dropped. DeadlineExceeded: nothing has
  // moved for seconds.
  Status Send(std::uint32_t frames, std::uint32_t size, const std::function<void(std::uint8_t*)>& write);

 private:
  struct Rings;
  explicit XdpSender(std::unique_ptr<Rings> rings);
  bool Reclaim();

  std::unique_ptr<Rings> rings_;
};

}  // namespace sluice::bpf
