// Files that are replaced as a whole.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace sluice::cni {

// NotFound: there is none. ResourceExhausted: more than `limit` bytes.
StatusOr<std::string> ReadWholeFile(const std::string& path, std::size_t limit);

struct FileOwner {
  uid_t user = 0;
  gid_t group = 0;
};
// Writes a temporary file in the directory of `path`, to disk, and renames it: others see the old content or the new
// one. The temporary name begins with ".sluice-cni." and ends in ".tmp"; one that an earlier process left there is
// replaced.
Status ReplaceFile(const std::string& path, std::string_view content, mode_t mode, std::optional<FileOwner> owner = {});

// To disk: the names in `directory`.
Status SyncDirectory(const std::string& directory);

}  // namespace sluice::cni
