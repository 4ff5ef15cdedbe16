// What is worth keeping of a process before it ends: the program that it runs, the files that it writes, and code that
// it has mapped and that is on no file system (memfd_create) or deleted. Opening is quick and blocks on nothing that
// the process controls: files are opened only on file systems of the kernel's own, never by FUSE or over a network.
// Copying (Store, forensic_store.h) works from the open files, after the process's end too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/sluice.pb.h"
#include "base/fd.h"
#include "ctrl/respond/process_handle.h"
#include "policy/response/model.h"

namespace sluice::respond {

struct Evidence {
  v1::CollectedFile::Kind kind = v1::CollectedFile::EXECUTABLE;
  std::string path;  // as the kernel names it
  Fd file;           // open for reading; none: `problem` says why
  std::string problem;
};

// Limits of a look at one process.
inline constexpr std::size_t kMostDescriptors = 4096;
inline constexpr std::size_t kMostMappings = 16'384;
// Mapped code is read through the process's memory, at once: so much of all of it together.
inline constexpr std::uint64_t kMostMappedBytes = 8U << 20U;

// At most `collect.max_files`. NotFound: the process has ended.
StatusOr<std::vector<Evidence>> OpenEvidence(const ProcessHandle& process, const policy::response::Collect& collect);

}  // namespace sluice::respond
