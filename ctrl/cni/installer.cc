#include "ctrl/cni/installer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "base/fd.h"
#include "ctrl/cni/conf_list.h"
#include "ctrl/cni/files.h"

namespace sluice::cni {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxConfigFile = std::size_t{4} << 20;
constexpr std::size_t kMaxBinary = std::size_t{256} << 20;
constexpr const char* kSavedSuffix = ".sluice-saved";
constexpr const char* kDropInName = "50-sluice.conf";
constexpr const char* kReloadName = ".sluice-cni.reload.tmp";

StatusOr<Fd> LockDirectory(const std::string& directory) {
  Fd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, "open {}", directory);
  while (flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return ErrnoError(errno, "lock {}", directory);
  }
  return fd;
}

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

// Names that runtimes load, in their order: by bytes.
StatusOr<std::vector<std::string>> ConfigFiles(const std::string& directory) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator file(directory, error), end; !error && file != end; file.increment(error)) {
    const std::string extension = file->path().extension().string();
    const bool is_config = extension == ".conf" || extension == ".conflist" || extension == ".json";
    std::error_code ignored;
    if (is_config && !file->is_directory(ignored)) names.push_back(file->path().filename().string());
  }
  if (error) return ErrnoError(error.value(), "read {}", directory);
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> DropIns(const std::string& directory) {
  std::error_code error;
  std::vector<std::string> paths;
  for (fs::directory_iterator file(directory, error), end; !error && file != end; file.increment(error)) {
    const std::string path = file->path().string() + "/" + kDropInName;
    std::error_code ignored;
    if (!file->is_directory(ignored)) continue;
    const auto text = ReadWholeFile(path, kMaxConfigFile);
    if (text.ok() && IsOwnConfig(*text)) paths.push_back(path);
  }
  return paths;
}

struct FileFacts {
  mode_t mode = 0644;
  std::optional<FileOwner> owner;
};
FileFacts FactsOf(const std::string& path) {
  struct stat facts {};
  if (stat(path.c_str(), &facts) != 0) return {};
  return {facts.st_mode & 07777, FileOwner{facts.st_uid, facts.st_gid}};
}

Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoError(errno, "remove {}", path);
  return OkStatus();
}

Status MoveFile(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) != 0) return ErrnoError(errno, "rename {} to {}", from, to);
  return OkStatus();
}

// containerd does not look into sub-directories; that a file goes in the directory itself has it load again.
void AskForReload(const std::string& directory) {
  const std::string path = directory + "/" + kReloadName;
  { const Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)); }
  unlink(path.c_str());
}

class Installation {
 public:
  explicit Installation(const InstallOptions& options) : options_(options) {}

  Changes& changes() { return changes_; }

  Status PutBinary() {
    SL_ASSIGN_OR_RETURN(const std::string own, ReadWholeFile("/proc/self/exe", kMaxBinary));
    const std::string path = Binary();
    struct stat facts {};
    const bool executable = stat(path.c_str(), &facts) == 0 && (facts.st_mode & 0111) == 0111;
    const auto there = ReadWholeFile(path, kMaxBinary);
    if (executable && there.ok() && *there == own) return OkStatus();
    SL_RETURN_IF_ERROR(ReplaceFile(path, own, 0755));
    changes_.push_back("wrote " + path);
    return OkStatus();
  }

  Status PutEntry() {
    SL_ASSIGN_OR_RETURN(const auto names, ConfigFiles(options_.conf_dir));
    if (names.empty()) {
      return absl::NotFoundError(
          fmt::format("{} has no network configuration: install the cluster's network plugin first, or have this one "
                      "wait for it (--watch)",
                      options_.conf_dir));
    }
    const std::string& first = names.front();
    SL_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(InConf(first), kMaxConfigFile));
    if (options_.drop_in) return PutDropIn(first, text);
    SL_RETURN_IF_ERROR(fs::path(first).extension() == ".conflist" ? PutIntoList(first, text)
                                                                  : PutIntoNewList(first, text));
    // Afterwards, so that the plugin is called twice rather than not at all.
    return RemoveDropIns();
  }

  Status RemoveEntries() {
    SL_ASSIGN_OR_RETURN(const auto names, ConfigFiles(options_.conf_dir));
    Status first_error;
    for (const std::string& name : names) {
      const Status removed = RemoveEntry(name);
      if (first_error.ok()) first_error = removed;
    }
    const Status dropped = RemoveDropIns();
    return first_error.ok() ? dropped : first_error;
  }

  Status RemoveBinary() {
    if (options_.keep_binary || !Exists(Binary())) return OkStatus();
    SL_RETURN_IF_ERROR(RemoveFile(Binary()));
    changes_.push_back("removed " + Binary());
    return OkStatus();
  }

  // What processes left that were killed.
  void RemoveTemporaries() const {
    for (const std::string& directory : {options_.conf_dir, options_.bin_dir}) {
      std::error_code error;
      for (fs::directory_iterator file(directory, error), end; !error && file != end; file.increment(error)) {
        const std::string name = file->path().filename().string();
        if (name.starts_with(".sluice-cni.") && name.ends_with(".tmp")) unlink(file->path().c_str());
      }
    }
  }

 private:
  std::string Binary() const { return options_.bin_dir + "/" + kPluginType; }
  std::string InConf(const std::string& name) const { return options_.conf_dir + "/" + name; }

  Status PutIntoList(const std::string& name, const std::string& text) {
    SL_ASSIGN_OR_RETURN(const ConfList list, WithEntry(InConf(name), text, options_.entry));
    // NAME.json sorts behind NAME.conflist: its maker may have written it again without being used.
    if (!list.made_from.empty() && list.made_from.find('/') == std::string::npos) {
      if (const auto original = ReadWholeFile(InConf(list.made_from), kMaxConfigFile); original.ok()) {
        return PutIntoNewList(list.made_from, *original);
      }
    }
    if (!list.changed) return OkStatus();
    const FileFacts facts = FactsOf(InConf(name));
    SL_RETURN_IF_ERROR(ReplaceFile(InConf(name), list.text, facts.mode, facts.owner));
    changes_.push_back("put the entry into " + InConf(name));
    return OkStatus();
  }

  // The single configuration stays the first one until it is renamed away: NAME.conf sorts before NAME.conflist.
  Status PutIntoNewList(const std::string& name, const std::string& text) {
    Json entry = options_.entry;
    entry[kMadeFrom] = name;
    SL_ASSIGN_OR_RETURN(const ConfList list, ListWithEntry(InConf(name), text, entry));
    const std::string new_name = fs::path(name).stem().string() + ".conflist";
    if (const auto there = ReadWholeFile(InConf(new_name), kMaxConfigFile); there.ok()) {
      const auto old = WithoutEntry(InConf(new_name), *there);
      if (!old.ok() || old->made_from != name) {
        return MakeError(absl::StatusCode::kFailedPrecondition,
                         "{} is used, but {} is there too, and not by sluice-cni: remove the one that is not wanted",
                         InConf(name), InConf(new_name));
      }
    }
    const FileFacts facts = FactsOf(InConf(name));
    SL_RETURN_IF_ERROR(ReplaceFile(InConf(new_name), list.text, facts.mode, facts.owner));
    SL_RETURN_IF_ERROR(MoveFile(InConf(name), InConf(name) + kSavedSuffix));
    SL_RETURN_IF_ERROR(SyncDirectory(options_.conf_dir));
    changes_.push_back(
        fmt::format("made {} of {}, which is kept as {}{}", InConf(new_name), InConf(name), name, kSavedSuffix));
    return OkStatus();
  }

  Status PutDropIn(const std::string& name, const std::string& text) {
    if (fs::path(name).extension() != ".conflist") {
      return MakeError(absl::StatusCode::kFailedPrecondition,
                       "{} is a single configuration, for which there are no drop-ins: install without --drop-in",
                       InConf(name));
    }
    SL_ASSIGN_OR_RETURN(const ConfList list, ForDropIn(InConf(name), text));
    const std::string directory = InConf(list.name);
    const std::string path = directory + "/" + kDropInName;
    const std::string wanted = options_.entry.dump(2) + "\n";
    if (const auto there = ReadWholeFile(path, kMaxConfigFile); !there.ok() || *there != wanted) {
      if (mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) return ErrnoError(errno, "make {}", directory);
      SL_RETURN_IF_ERROR(ReplaceFile(path, wanted, 0644));
      AskForReload(options_.conf_dir);
      changes_.push_back("wrote " + path);
    }
    return list.has_entry ? RemoveEntry(name) : OkStatus();
  }

  Status RemoveDropIns() {
    for (const std::string& path : DropIns(options_.conf_dir)) {
      SL_RETURN_IF_ERROR(RemoveFile(path));
      rmdir(fs::path(path).parent_path().c_str());  // unless others have files there
      AskForReload(options_.conf_dir);
      changes_.push_back("removed " + path);
    }
    return OkStatus();
  }

  Status RemoveEntry(const std::string& name) {
    if (fs::path(name).extension() != ".conflist") return OkStatus();
    const auto text = ReadWholeFile(InConf(name), kMaxConfigFile);
    if (absl::IsNotFound(text.status())) return OkStatus();
    if (!text.ok()) return text.status();
    const auto list = WithoutEntry(InConf(name), *text);
    // A file that is no list has no entry; it may be somebody's that is not written to its end.
    if (!list.ok()) return text->find(kPluginType) == std::string::npos ? OkStatus() : list.status();
    if (!list->has_entry) return OkStatus();
    if (!list->made_from.empty() && list->made_from.find('/') == std::string::npos) {
      const std::string original = InConf(list->made_from);
      // Its maker may have written it again.
      const bool there = Exists(original);
      if (there || Exists(original + kSavedSuffix)) return RestoreSingle(name, original, there);
    }
    const FileFacts facts = FactsOf(InConf(name));
    SL_RETURN_IF_ERROR(ReplaceFile(InConf(name), list->text, facts.mode, facts.owner));
    changes_.push_back("took the entry out of " + InConf(name));
    return OkStatus();
  }

  Status RestoreSingle(const std::string& list, const std::string& original, bool there) {
    SL_RETURN_IF_ERROR(there ? RemoveFile(original + kSavedSuffix) : MoveFile(original + kSavedSuffix, original));
    SL_RETURN_IF_ERROR(SyncDirectory(options_.conf_dir));
    SL_RETURN_IF_ERROR(RemoveFile(InConf(list)));
    SL_RETURN_IF_ERROR(SyncDirectory(options_.conf_dir));
    changes_.push_back(fmt::format("restored {} and removed {}", original, InConf(list)));
    return OkStatus();
  }

  const InstallOptions& options_;
  Changes changes_;
};

}  // namespace

StatusOr<Changes> Install(const InstallOptions& options) {
  SL_ASSIGN_OR_RETURN(const Fd lock, LockDirectory(options.conf_dir));
  Installation installation(options);
  SL_RETURN_IF_ERROR(installation.PutBinary());
  SL_RETURN_IF_ERROR(installation.PutEntry());
  return installation.changes();
}

StatusOr<Changes> Uninstall(const InstallOptions& options) {
  SL_ASSIGN_OR_RETURN(const Fd lock, LockDirectory(options.conf_dir));
  Installation installation(options);
  SL_RETURN_IF_ERROR(installation.RemoveEntries());
  SL_RETURN_IF_ERROR(installation.RemoveBinary());
  installation.RemoveTemporaries();
  return installation.changes();
}

}  // namespace sluice::cni
