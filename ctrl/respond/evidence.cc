#include "ctrl/respond/evidence.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <utility>

namespace sluice::respond {
namespace {

// Reading from these waits for no other process or machine.
constexpr std::array<std::string_view, 14> kOwnFileSystems = {"ext2",  "ext3",      "ext4",     "xfs",  "btrfs",
                                                              "tmpfs", "ramfs",     "overlay",  "f2fs", "zfs",
                                                              "erofs", "hugetlbfs", "squashfs", "vfat"};
constexpr std::string_view kMemfd = "/memfd:";
constexpr std::string_view kDeleted = " (deleted)";
constexpr std::size_t kPiece = 64U << 10U;
constexpr std::size_t kMostMounts = 65'536;

bool IsOwn(const std::string& type) {
  return std::find(kOwnFileSystems.begin(), kOwnFileSystems.end(), type) != kOwnFileSystems.end();
}

// The types of the file systems in the process's mount namespace.
struct Mounts {
  std::map<std::uint64_t, std::string> by_id;
  std::map<std::string, std::string> by_device;  // "8:1"
};

Mounts ReadMounts(const ProcessHandle& process) {
  Mounts mounts;
  std::ifstream file(process.Path("mountinfo"));
  for (std::string line; std::getline(file, line) && mounts.by_id.size() < kMostMounts;) {
    // "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw"
    std::istringstream words(line);
    std::uint64_t id = 0, parent = 0;
    std::string device, word;
    if (!(words >> id >> parent >> device)) continue;
    while (words >> word && word != "-") {
    }
    std::string type;
    if (!(words >> type)) continue;
    mounts.by_id[id] = type;
    mounts.by_device[device] = type;
  }
  return mounts;
}

std::string ReadLink(const std::string& path) {
  std::array<char, 4096> text{};
  const ssize_t length = readlink(path.c_str(), text.data(), text.size());
  return length < 0 ? std::string() : std::string(text.data(), static_cast<std::size_t>(length));
}

struct DescriptorFacts {
  unsigned flags = 0;
  std::uint64_t mount = 0;
  std::uint64_t inode = 0;
};

// Of /proc/PID/fdinfo/N; asks no file system.
DescriptorFacts ReadFacts(const std::string& path) {
  DescriptorFacts facts;
  std::ifstream file(path);
  for (std::string name; file >> name;) {
    if (name == "flags:") file >> std::oct >> facts.flags >> std::dec;
    if (name == "mnt_id:") file >> facts.mount;
    if (name == "ino:") file >> facts.inode;
  }
  return facts;
}

bool IsWritable(unsigned flags) { return (flags & O_ACCMODE) != O_RDONLY; }

// One mapping of a file.
struct Mapping {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t offset = 0;
  bool readable = false;
};

class Collector {
 public:
  Collector(const ProcessHandle& process, const policy::response::Collect& collect)
      : process_(process), collect_(collect), mounts_(ReadMounts(process)) {}

  StatusOr<std::vector<Evidence>> Run() {
    if (collect_.executable || collect_.memory) AddExecutable();
    if (collect_.written || collect_.memory) AddDescriptors();
    if (collect_.memory) AddMapped();
    if (!process_.IsAlive())
      return MakeError(absl::StatusCode::kNotFound, "process {} has ended: nothing is left to collect", process_.pid());
    return std::move(found_);
  }

 private:
  bool IsFull() const { return found_.size() >= collect_.max_files; }

  static bool IsInMemory(const std::string& path) { return path.starts_with(kMemfd); }
  static bool IsDeleted(const std::string& path) { return path.ends_with(kDeleted); }

  void AddExecutable() {
    const std::string path = ReadLink(process_.Path("exe"));
    if (path.empty()) return;  // a kernel thread, or gone
    const bool is_memory = IsInMemory(path) || IsDeleted(path);
    if (!collect_.executable && !is_memory) return;
    Add(collect_.executable ? v1::CollectedFile::EXECUTABLE : v1::CollectedFile::MEMORY, path, process_.Path("exe"));
  }

  void AddDescriptors() {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(process_.Path("fd").c_str()), closedir);
    if (directory == nullptr) return;
    std::size_t looked = 0;
    while (const dirent* const entry = readdir(directory.get())) {
      if (entry->d_name[0] == '.') continue;
      if (IsFull() || ++looked > kMostDescriptors) return;
      const std::string place = process_.Path("fd/" + std::string(entry->d_name));
      const std::string path = ReadLink(place);
      if (!path.starts_with('/')) continue;  // a socket, a pipe, ...
      const DescriptorFacts facts = ReadFacts(process_.Path("fdinfo/" + std::string(entry->d_name)));
      if (IsInMemory(path)) {
        if (collect_.memory) Add(v1::CollectedFile::MEMORY, path, place);
      } else if (collect_.written && IsWritable(facts.flags)) {
        Add(v1::CollectedFile::WRITTEN, path, place);
      }
    }
  }

  // `place`: a link of /proc that leads to the file, whatever its path says by now.
  void Add(v1::CollectedFile::Kind kind, const std::string& path, const std::string& place) {
    Evidence evidence{.kind = kind, .path = path};
    // Without asking the file system for anything.
    const Fd handle(open(place.c_str(), O_PATH | O_CLOEXEC));
    if (!handle.valid()) return;
    const std::string own = fmt::format("/proc/self/fdinfo/{}", handle.get());
    const DescriptorFacts facts = ReadFacts(own);
    if (!seen_.insert({facts.mount, facts.inode, path}).second) return;
    const auto mount = mounts_.by_id.find(facts.mount);
    if (!IsInMemory(path) && (mount == mounts_.by_id.end() || !IsOwn(mount->second))) {
      if (path.starts_with("/dev/") || path.starts_with("/proc/") || path.starts_with("/sys/")) return;
      evidence.problem = mount == mounts_.by_id.end() ? "it is on a file system that the process cannot see"
                                                      : "it is on a file system of type " + mount->second;
      found_.push_back(std::move(evidence));
      return;
    }
    struct stat info {};
    if (fstat(handle.get(), &info) != 0 || !S_ISREG(info.st_mode)) return;  // a device, a directory, a named pipe
    const std::string again = fmt::format("/proc/self/fd/{}", handle.get());
    evidence.file = Fd(open(again.c_str(), O_RDONLY | O_NONBLOCK | O_NOATIME | O_CLOEXEC));
    if (!evidence.file.valid() && errno == EPERM)
      evidence.file = Fd(open(again.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (!evidence.file.valid()) evidence.problem = Message(ErrnoError(errno, "open"));
    inodes_.insert(info.st_ino);
    found_.push_back(std::move(evidence));
  }

  struct MappedFile {
    std::string path;
    bool is_code = false;
    std::vector<Mapping> mappings;
  };

  // Files of which code is mapped and that no path leads to, by device and inode.
  std::map<std::pair<std::string, std::uint64_t>, MappedFile> ReadMappedFiles() const {
    std::map<std::pair<std::string, std::uint64_t>, MappedFile> files;
    std::ifstream file(process_.Path("maps"));
    std::size_t looked = 0;
    for (std::string line; std::getline(file, line) && ++looked <= kMostMappings;) {
      // "7f1c2a000000-7f1c2a021000 r-xp 00000000 00:05 1042    /memfd:x (deleted)"
      std::istringstream words(line);
      Mapping mapping;
      char dash = 0;
      std::string rights, device, path;
      std::uint64_t inode = 0;
      if (!(words >> std::hex >> mapping.begin >> dash >> mapping.end >> rights >> mapping.offset >> device)) continue;
      if (!(words >> std::dec >> inode) || inode == 0 || rights.size() < 3) continue;
      std::getline(words >> std::ws, path);
      if (!IsInMemory(path) && !IsDeleted(path)) continue;
      mapping.readable = rights[0] == 'r';
      MappedFile& mapped = files[{device, inode}];
      mapped.path = path;
      mapped.is_code = mapped.is_code || rights[2] == 'x';
      mapped.mappings.push_back(mapping);
    }
    return files;
  }

  // The device as mountinfo has it: maps has it in hexadecimal.
  bool IsOnOwnFileSystem(const std::string& device) const {
    unsigned major = 0, minor = 0;
    if (std::sscanf(device.c_str(), "%x:%x", &major, &minor) != 2) return false;
    const auto found = mounts_.by_device.find(fmt::format("{}:{}", major, minor));
    return found != mounts_.by_device.end() && IsOwn(found->second);
  }

  void AddMapped() {
    const Fd memory(open(process_.Path("mem").c_str(), O_RDONLY | O_CLOEXEC));
    std::uint64_t left = std::min(kMostMappedBytes, collect_.max_bytes);
    for (const auto& [id, mapped] : ReadMappedFiles()) {
      if (IsFull()) return;
      if (!mapped.is_code || inodes_.contains(id.second)) continue;
      Evidence evidence{.kind = v1::CollectedFile::MEMORY, .path = mapped.path};
      if (!IsInMemory(mapped.path) && !IsOnOwnFileSystem(id.first)) {
        evidence.problem = "it is on a file system of another kind";
      } else if (!memory.valid()) {
        evidence.problem = "the process's memory cannot be read";
      } else {
        evidence.file = CopyMapped(memory.get(), mapped, &left);
        if (!evidence.file.valid()) evidence.problem = "the process's memory cannot be read";
      }
      found_.push_back(std::move(evidence));
    }
  }

  // The mapped parts, each at its place in the file. What is not mapped is zero.
  static Fd CopyMapped(int memory, const MappedFile& mapped, std::uint64_t* left) {
    Fd copy(memfd_create("sluice-evidence", MFD_CLOEXEC));
    if (!copy.valid()) return copy;
    std::vector<char> piece(kPiece);
    bool any = false;
    for (const Mapping& mapping : mapped.mappings) {
      std::uint64_t at = mapping.begin;
      while (mapping.readable && at<mapping.end&& * left> 0) {
        const std::size_t size =
            std::min({kPiece, static_cast<std::size_t>(mapping.end - at), static_cast<std::size_t>(*left)});
        const ssize_t got = pread(memory, piece.data(), size, static_cast<off_t>(at));
        if (got <= 0) break;
        const auto place = static_cast<off_t>(mapping.offset + (at - mapping.begin));
        if (pwrite(copy.get(), piece.data(), static_cast<std::size_t>(got), place) != got) return Fd();
        any = true;
        at += static_cast<std::uint64_t>(got);
        *left -= static_cast<std::uint64_t>(got);
      }
    }
    return any ? std::move(copy) : Fd();
  }

  const ProcessHandle& process_;
  const policy::response::Collect& collect_;
  const Mounts mounts_;
  std::set<std::tuple<std::uint64_t, std::uint64_t, std::string>> seen_;
  std::set<std::uint64_t> inodes_;  // of files that are open already
  std::vector<Evidence> found_;
};

}  // namespace

StatusOr<std::vector<Evidence>> OpenEvidence(const ProcessHandle& process, const policy::response::Collect& collect) {
  return Collector(process, collect).Run();
}

}  // namespace sluice::respond
