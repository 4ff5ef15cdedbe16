#include "ctrl/respond/forensic_store.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "base/log.h"

namespace sluice::respond {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kCopyPiece = 256U << 10U;
constexpr char kUnfinished[] = ".unfinished";

bool IsName(const std::string& name) {
  return name.size() == 64 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    valid_ = context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1;
  }
  void Add(const char* data, std::size_t size) { valid_ = valid_ && EVP_DigestUpdate(context_.get(), data, size) == 1; }
  // Empty: for want of memory.
  std::string Take() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned size = 0;
    if (!valid_ || EVP_DigestFinal_ex(context_.get(), bytes.data(), &size) != 1) return "";
    std::string text;
    for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", bytes[i]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
  bool valid_ = false;
};

Status WriteAll(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t written = write(fd, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoError(errno, "write a copy");
    data += written;
    size -= static_cast<std::size_t>(written);
  }
  return OkStatus();
}

// From `from` to `to`. The digest is that of what was copied.
StatusOr<ForensicStore::Copy> CopyFile(int from, int to, std::uint64_t max_bytes) {
  ForensicStore::Copy copy;
  Digest digest;
  std::vector<char> piece(kCopyPiece);
  while (true) {
    const ssize_t got = pread(from, piece.data(), piece.size(), static_cast<off_t>(copy.bytes));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError(errno, "read");
    if (got == 0) break;
    const auto left = max_bytes - copy.bytes;
    const auto size = std::min<std::uint64_t>(static_cast<std::uint64_t>(got), left);
    copy.truncated = size < static_cast<std::uint64_t>(got);
    SL_RETURN_IF_ERROR(WriteAll(to, piece.data(), size));
    digest.Add(piece.data(), size);
    copy.bytes += size;
    if (copy.truncated) break;
  }
  copy.sha256 = digest.Take();
  if (copy.sha256.empty()) return MakeError(absl::StatusCode::kResourceExhausted, "SHA-256: no memory");
  return copy;
}

}  // namespace

// Finds the copies of earlier agents.
Status ForensicStore::Open() {
  if (open_) return OkStatus();
  if (mkdir(options_.directory.c_str(), 0700) != 0 && errno != EEXIST)
    return ErrnoError(errno, "make the directory {}", options_.directory);
  std::vector<std::pair<fs::file_time_type, std::pair<std::string, std::uint64_t>>> found;
  std::error_code error;
  for (fs::directory_iterator at(options_.directory, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename();
    std::error_code unreadable;
    const auto time = fs::last_write_time(at->path(), unreadable);
    const auto size = fs::file_size(at->path(), unreadable);
    if (IsName(name) && !unreadable) found.push_back({time, {name, size}});
  }
  if (error) return MakeError(absl::StatusCode::kUnavailable, "{}: {}", options_.directory, error.message());
  std::sort(found.begin(), found.end());
  for (const auto& [time, file] : found) Note(file.first, file.second);
  open_ = true;
  return OkStatus();
}

void ForensicStore::Note(const std::string& name, std::uint64_t bytes) {
  order_.push_back(name);
  kept_[name] = {.bytes = bytes, .place = std::prev(order_.end())};
  fill_.bytes += bytes;
  fill_.files = kept_.size();
}

void ForensicStore::MakeRoom(std::uint64_t bytes) {
  while (!order_.empty() && (fill_.bytes + bytes > options_.max_bytes || kept_.size() >= options_.max_files)) {
    const std::string name = order_.front();
    const std::string path = options_.directory + "/" + name;
    if (unlink(path.c_str()) != 0 && errno != ENOENT) LogWarn("remove {}: {}", path, Message(ErrnoError(errno, "")));
    fill_.bytes -= kept_[name].bytes;
    fill_.removed++;
    order_.pop_front();
    kept_.erase(name);
  }
  fill_.files = kept_.size();
}

StatusOr<ForensicStore::Copy> ForensicStore::Add(int file, std::uint64_t max_bytes) {
  const std::lock_guard lock(mutex_);
  SL_RETURN_IF_ERROR(Open());
  const std::string unfinished = options_.directory + "/" + kUnfinished;
  const Fd out(open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0400));
  if (!out.valid()) return ErrnoError(errno, "make {}", unfinished);
  auto copy = CopyFile(file, out.get(), std::min(max_bytes, options_.max_bytes));
  if (!copy.ok()) {
    unlink(unfinished.c_str());
    return copy.status();
  }
  if (const auto known = kept_.find(copy->sha256); known != kept_.end()) {
    order_.splice(order_.end(), order_, known->second.place);
    unlink(unfinished.c_str());
    return copy;
  }
  MakeRoom(copy->bytes);
  const std::string path = options_.directory + "/" + copy->sha256;
  if (rename(unfinished.c_str(), path.c_str()) != 0) return ErrnoError(errno, "name {}", path);
  Note(copy->sha256, copy->bytes);
  return copy;
}

ForensicStore::Fill ForensicStore::fill() const {
  const std::lock_guard lock(mutex_);
  return fill_;
}

}  // namespace sluice::respond
