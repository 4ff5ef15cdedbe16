#include "kernel/datapath/root.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <filesystem>
#include <vector>

#include "kernel/bpf/hook.h"
#include "kernel/bpf/link.h"
#include "kernel/bpf/object.h"
#include "kernel/bpf/pin_layout.h"
#include "kernel/bpf/system.h"

namespace sluice::datapath {
namespace {

// For a layout of any version. Returns the number of pods' interfaces.
StatusOr<int> DetachAll(const bpf::PinLayout& pins) {
  int pods = 0;
  // clsact filters have no pin: the pinned map of interfaces shows where they are.
  if (const auto fd = bpf::OpenPinnedMap(pins.map("interfaces")); fd.ok()) {
    SL_ASSIGN_OR_RETURN(const auto interfaces, bpf::NumberKeys(fd->get()));
    for (const std::uint32_t ifindex : interfaces) {
      SL_RETURN_IF_ERROR(bpf::DetachTc(ifindex, bpf::TcDirection::kIngress, pins.link("tc_from_pod", ifindex)));
      SL_RETURN_IF_ERROR(bpf::DetachTc(ifindex, bpf::TcDirection::kEgress, pins.link("tc_to_pod", ifindex)));
      ++pods;
    }
  }
  std::error_code error;
  std::vector<std::string> links;
  for (const auto& entry : std::filesystem::directory_iterator(pins.links_dir(), error)) links.push_back(entry.path());
  for (const std::string& link : links) SL_RETURN_IF_ERROR(bpf::DetachLink(link));
  return pods;
}

}  // namespace

StatusOr<Fd> LockRoot(const std::string& bpf_root) {
  std::error_code error;
  std::filesystem::create_directories(bpf_root, error);
  if (error) return ErrnoError(error.value(), "create {} (is a BPF file system mounted there?)", bpf_root);
  Fd lock(open(bpf_root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock.valid()) return ErrnoError(errno, "open {}", bpf_root);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK)
    return MakeError(absl::StatusCode::kAlreadyExists,
                     "{} is in use by another agent; stop it, or give this one a --bpf-root of its own", bpf_root);
  return ErrnoError(errno, "lock {}", bpf_root);
}

StatusOr<Uninstalled> Uninstall(const std::string& bpf_root) {
  std::error_code error;
  if (!std::filesystem::exists(bpf_root, error)) return Uninstalled{};
  // A safety check, as everything below it will be removed.
  if (!bpf::IsOnBpfFs(bpf_root)) {
    return InvalidError("--bpf-root {}: not on a BPF file system, so no agent has pinned anything there", bpf_root);
  }
  SL_ASSIGN_OR_RETURN(const Fd lock, LockRoot(bpf_root));
  SL_ASSIGN_OR_RETURN(const auto layouts, bpf::FindLayouts(bpf_root));
  Uninstalled done{.existed = true};
  for (const bpf::PinLayout& pins : layouts) {
    SL_ASSIGN_OR_RETURN(const int pods, DetachAll(pins));
    done.pods += pods;
  }
  std::filesystem::remove_all(bpf_root, error);
  if (error) return ErrnoError(error.value(), "remove {}", bpf_root);
  return done;
}

}  // namespace sluice::datapath
