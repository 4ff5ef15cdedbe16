// What is pinned for as long as the agent runs, held by descriptors too: so it goes on when somebody removes the pin,
// or the whole root, and can be pinned again.
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
  // `fd` is pinned at `path`. Where descriptors are getting scarce it is not held, only the pin is.
  void Hold(const std::string& path, Fd fd);
  // Likewise everything below `directory`, and no more what was there before. Fine where there is no such directory.
  Status HoldAll(const std::string& directory);
  void Release(const std::string& path) { held_.erase(path); }
  void ReleaseAll(const std::string& directory);  // everything below it

  int fd(const std::string& path) const;  // -1: not held

  // Pins again what is not there any more. Returns how many.
  StatusOr<int> PutBack();

 private:
  struct Held {
    Fd fd;
    std::uint64_t inode = 0;  // of the pin; 0: there was none
  };
  std::map<std::string, Held> held_;  // by path
};

}  // namespace sluice::datapath
