// Copies of files, each named by the SHA-256 of what was copied, in a directory of the agent's. Bounded in bytes and
// files: the copy that was made, or was wanted again, the longest time ago makes room. Thread-safe.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <string>

#include "base/status.h"

namespace sluice::respond {

class ForensicStore {
 public:
  struct Options {
    std::string directory;  // made with the first copy; its parent must be there
    std::uint64_t max_bytes = std::uint64_t{1} << 30;
    std::size_t max_files = 4096;
  };
  struct Copy {
    std::string sha256;  // 64 hexadecimal digits
    std::uint64_t bytes = 0;
    bool truncated = false;
  };
  struct Fill {
    std::uint64_t bytes = 0;
    std::uint64_t files = 0;
    std::uint64_t removed = 0;  // to make room, since the start
  };

  explicit ForensicStore(Options options) : options_(std::move(options)) {}

  // Copies the file from its beginning, at most `max_bytes` of it. A copy that is there already is kept.
  StatusOr<Copy> Add(int file, std::uint64_t max_bytes);
  Fill fill() const;

 private:
  using Order = std::list<std::string>;  // of names, oldest first
  struct Kept {
    std::uint64_t bytes = 0;
    Order::iterator place;
  };
  Status Open();
  void Note(const std::string& name, std::uint64_t bytes);
  void MakeRoom(std::uint64_t bytes);

  const Options options_;
  mutable std::mutex mutex_;
  bool open_ = false;
  Order order_;
  std::map<std::string, Kept> kept_;
  Fill fill_;
};

}  // namespace sluice::respond
