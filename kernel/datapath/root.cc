#include "kernel/datapath/root.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
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

namespace fs = std::filesystem;

// A killed agent may have left a filter behind a link. One of an agent with another root has other maps.
Status DetachFilter(const bpf::PinLayout& pins, std::uint32_t ifindex, bpf::Hook hook) {
  SL_ASSIGN_OR_RETURN(const auto there, bpf::ClsactPrograms(ifindex, bpf::DirectionOf(hook)));
  if (there.empty()) return OkStatus();  // the layout may be without maps
  SL_ASSIGN_OR_RETURN(const Fd generation, bpf::OpenPinnedMap(pins.map("generation")));
  SL_ASSIGN_OR_RETURN(const std::uint32_t id, bpf::MapId(generation.get()));
  SL_ASSIGN_OR_RETURN(const std::uint32_t ours, bpf::FilterThatUses(bpf::OwnAdminCalls(), ifindex, hook, {id}));
  return ours != 0 ? bpf::DetachClsact(ifindex, bpf::DirectionOf(hook)) : OkStatus();
}

// For a layout of any version. Returns the number of pods' interfaces.
StatusOr<int> DetachAll(const bpf::PinLayout& pins) {
  int pods = 0;
  // clsact filters have no pin: the pinned map of interfaces shows where they are.
  if (const auto fd = bpf::OpenPinnedMap(pins.map("interfaces")); fd.ok()) {
    SL_ASSIGN_OR_RETURN(const auto interfaces, bpf::NumberKeys(fd->get()));
    for (const std::uint32_t ifindex : interfaces) {
      SL_RETURN_IF_ERROR(bpf::DetachTc(ifindex, bpf::TcDirection::kIngress, pins.link("tc_from_pod", ifindex)));
      SL_RETURN_IF_ERROR(bpf::DetachTc(ifindex, bpf::TcDirection::kEgress, pins.link("tc_to_pod", ifindex)));
      for (const bpf::Hook hook : {bpf::Hook::kTcIngress, bpf::Hook::kTcEgress})
        SL_RETURN_IF_ERROR(DetachFilter(pins, ifindex, hook));
      ++pods;
    }
  }
  std::error_code error;
  std::vector<std::string> links;
  for (const auto& entry : fs::directory_iterator(pins.links_dir(), error)) links.push_back(entry.path());
  for (const std::string& link : links) SL_RETURN_IF_ERROR(bpf::DetachLink(link));
  return pods;
}

bool IsAttachedSomewhere(const bpf::PinLayout& pins) {
  const auto holds_files = [](const std::string& directory) {
    std::error_code error;
    return std::ranges::any_of(fs::recursive_directory_iterator(directory, error),
                               [](const fs::directory_entry& entry) { return !entry.is_directory(); });
  };
  if (holds_files(pins.links_dir()) || holds_files(pins.probes_dir()) || holds_files(pins.services_dir()) ||
      holds_files(pins.hooks_dir()))
    return true;
  const auto fd = bpf::OpenPinnedMap(pins.map("interfaces"));  // clsact filters have no pin
  if (!fd.ok()) return false;
  const auto interfaces = bpf::NumberKeys(fd->get());
  return !interfaces.ok() || !interfaces->empty();
}

}  // namespace

NewRoot::NewRoot(const std::string& bpf_root) : root_(bpf_root) {
  std::error_code error;
  had_version_ = fs::exists(bpf::PinLayout(root_).version_dir(), error);
  for (fs::path path = root_; !path.empty() && !fs::exists(path, error) && !error; path = path.parent_path())
    missing_.push_back(path);
}

void NewRoot::TakeBack() const {
  const bpf::PinLayout pins(root_);
  std::error_code ignored;
  if (!had_version_ && !IsAttachedSomewhere(pins)) fs::remove_all(pins.version_dir(), ignored);
  for (const std::string& directory : missing_) {
    if (rmdir(directory.c_str()) != 0) return;
  }
}

StatusOr<Fd> LockRoot(const std::string& bpf_root) {
  std::error_code error;
  fs::create_directories(bpf_root, error);
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
  if (!fs::exists(bpf_root, error)) return Uninstalled{};
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
  fs::remove_all(bpf_root, error);
  if (error) return ErrnoError(error.value(), "remove {}", bpf_root);
  return done;
}

}  // namespace sluice::datapath
