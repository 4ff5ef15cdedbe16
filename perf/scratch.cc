#include "perf/scratch.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "base/log.h"
#include "kernel/bpf/system.h"
#include "kernel/datapath/root.h"

namespace sluice::perf {
namespace {

constexpr char kBpfFs[] = "/sys/fs/bpf";

}  // namespace

StatusOr<Scratch> Scratch::Create() {
  if (!bpf::IsOnBpfFs(kBpfFs))
    return MakeError(absl::StatusCode::kFailedPrecondition, "no BPF file system: mount -t bpf bpf {}", kBpfFs);
  // /tmp may be in memory, where writes to disk cost nothing.
  std::string directory = fmt::format("/var/tmp/sluice-bench-{}-XXXXXX", getpid());
  if (mkdtemp(directory.data()) == nullptr) return ErrnoError(errno, "make a directory {}", directory);
  const std::string name = std::filesystem::path(directory).filename();
  return Scratch(directory, fmt::format("{}/{}", kBpfFs, name));
}

Scratch::Scratch(Scratch&& other) noexcept
    : directory_(std::exchange(other.directory_, "")), bpf_root_(std::exchange(other.bpf_root_, "")) {}

Scratch::~Scratch() {
  if (directory_.empty()) return;
  if (const Status cleared = Clear(); !cleared.ok()) LogWarn("clean up: {}", Message(cleared));
  std::error_code error;
  std::filesystem::remove_all(directory_, error);
}

Status Scratch::Clear() const {
  SL_RETURN_IF_ERROR(datapath::Uninstall(bpf_root_).status());
  std::error_code error;
  std::filesystem::remove_all(state_dir(), error);
  return error ? ErrnoError(error.value(), "remove {}", state_dir()) : OkStatus();
}

}  // namespace sluice::perf
