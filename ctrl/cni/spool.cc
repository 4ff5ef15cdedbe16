#include "ctrl/cni/spool.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "ctrl/cni/files.h"

namespace sluice::cni {
namespace {

namespace fs = std::filesystem;

std::string PathIn(const std::string& directory, const char* kind, const Attachment& attachment) {
  return fmt::format("{}/{}/{}", directory, kind, FileName(attachment));
}

Status MakePrivateDirectory(const std::string& path) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  if (mkdir(path.c_str(), S_IRWXU) != 0 && errno != EEXIST) return ErrnoError(errno, "make {}", path);
  return OkStatus();
}

std::size_t CountFiles(const std::string& path) {
  std::error_code error;
  const fs::directory_iterator files(path, error);
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

Status LeaveFile(const std::string& directory, const char* kind, const Attachment& attachment,
                 std::string_view content) {
  const std::string where = directory + "/" + kind;
  SL_RETURN_IF_ERROR(MakePrivateDirectory(where));
  if (CountFiles(where) >= kMaxFiles) {
    return MakeError(absl::StatusCode::kResourceExhausted, "{} holds {} files already", where, kMaxFiles);
  }
  return ReplaceFile(PathIn(directory, kind, attachment), content, S_IRUSR | S_IWUSR);
}

}  // namespace

Status LeaveDeleted(const std::string& directory, const Attachment& attachment) {
  return LeaveFile(directory, kDeletedDirectory, attachment, "");
}

Status LeavePending(const std::string& directory, const Request& add) {
  return LeaveFile(directory, kPendingDirectory, add.attachment, ToJson(add) + "\n");
}

void Forget(const std::string& directory, const char* kind, const Attachment& attachment) {
  unlink(PathIn(directory, kind, attachment).c_str());
}

void ForgetOthers(const std::string& directory, const std::string& network, const std::vector<Attachment>& valid) {
  std::error_code error;
  for (const auto& file : fs::directory_iterator(directory + "/" + kPendingDirectory, error)) {
    const auto attachment = ParseFileName(file.path().filename().string());
    if (!attachment.ok() || std::find(valid.begin(), valid.end(), *attachment) != valid.end()) continue;
    const auto text = ReadWholeFile(file.path().string(), kMaxMessage);
    if (!text.ok()) continue;
    const auto request = ParseRequest(*text);
    if (request.ok() && request->network == network) Forget(directory, kPendingDirectory, *attachment);
  }
}

}  // namespace sluice::cni
