// Sends raw frames on one interface of a network namespace, and waits for them.
//   SL_ASSIGN_OR_RETURN(auto link, RawLink::Open(node.netns(web).fd(), "eth0"));
//   link.Send(frame);
//   EXPECT_TRUE(other.Sees("marker"));   // some frame that came in since Open has these bytes
// Move-only; one thread at a time.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "testbed/packet.h"

namespace sluice::test {

class RawLink {
 public:
  static StatusOr<RawLink> Open(int netns_fd, const std::string& interface);

  Status Send(const Frame& frame) const;
  // Looks at frames that the interface received, not at those it sent. Waits up to `patience`.
  bool Sees(const std::string& bytes, std::chrono::milliseconds patience = std::chrono::seconds(3));
  bool SeesNot(const std::string& bytes) { return !Sees(bytes, std::chrono::milliseconds(300)); }

 private:
  explicit RawLink(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
  std::vector<Frame> received_;
};

// A payload that contains `text` and is `size` bytes long.
Raw Marked(const std::string& text, std::size_t size = 0);

}  // namespace sluice::test
