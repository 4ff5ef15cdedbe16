// Pinned objects, also held by descriptors while the agent runs: they stay if their pin or the whole root is removed,
// and can be pinned again.
//   SL_RETURN_IF_ERROR(pins.Hold(path, std::move(link)));
// For one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/fd.h"
#include "base/status.h"

namespace sluice::datapath {

class HeldPins {
 public:
  // `fd` is pinned at `path`. If descriptors are scarce, it is closed, and only the pin keeps the object.
  void Hold(const std::string& path, Fd fd);
  // The same for everything below `directory`, and releases what was held there before. OK if there is no such
  // directory.
  Status HoldAll(const std::string& directory);
  void Release(const std::string& path) { held_.erase(path); }
  void ReleaseAll(const std::string& directory);  // everything below it

  int fd(const std::string& path) const;  // -1: not held

  // Pins objects again whose pins are gone. Returns how many.
  StatusOr<int> PutBack();

 private:
  struct Held {
    Fd fd;
    std::uint64_t inode = 0;  // of the pin; 0: it had none
  };
  std::map<std::string, Held> held_;  // by path
};

}  // namespace sluice::datapath
