// What tests set inside the loaded packet path, and what they read of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/bpf/object.h"

namespace sluice::bpf {

// For an object that was loaded with `ObjectOptions::test_clock`; the caller keeps it open. Not thread-safe.
class TestHooks {
 public:
  explicit TestHooks(DatapathObject& object) : object_(object) {}

  // The programs' time. Setting it back also refills the token bucket of denied-flow entries.
  void SetClock(std::uint64_t ns);
  // The classes of the processes behind the packets. 0: the class of the packet's socket.
  void SetProcesses(std::uint32_t sender_class, std::uint32_t receiver_class);
  // The cookies of their sockets. 0: none.
  void SetSockets(std::uint64_t sender, std::uint64_t receiver);

  // The maps of the object, without those of its global variables. Also without `test_clock`.
  std::vector<std::string> MapNames() const;

 private:
  DatapathObject& object_;
};

}  // namespace sluice::bpf
