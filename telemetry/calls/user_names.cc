#include "telemetry/calls/user_names.h"

#include <sys/stat.h>

#include <charconv>
#include <fstream>
#include <optional>
#include <vector>

namespace sluice::telemetry {
namespace {

constexpr std::chrono::seconds kLookInterval{5};
constexpr char kUserFile[] = "/etc/passwd";
constexpr char kGroupFile[] = "/etc/group";
constexpr std::size_t kMostLines = 100'000;

std::vector<std::string> SplitLine(const std::string& line) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= line.size();) {
    const std::size_t end = std::min(line.find(':', at), line.size());
    parts.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::optional<std::uint32_t> ParseUserNumber(const std::string& text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

// Each line of the file whose third part is a number, with that.
template <typename Use>
void ReadLines(const std::string& path, const Use& use) {
  std::ifstream file(path);
  std::string line;
  for (std::size_t lines = 0; lines < kMostLines && std::getline(file, line); ++lines) {
    const std::vector<std::string> parts = SplitLine(line);
    if (parts.size() < 3 || parts[0].empty()) continue;
    if (const auto number = ParseUserNumber(parts[2])) use(*number, parts);
  }
}

}  // namespace

UserNames::Seen UserNames::Look(const char* file) const {
  struct stat info {};
  if (stat((root_ + file).c_str(), &info) != 0) return {};
  return {.size = info.st_size, .changed_ns = info.st_mtim.tv_sec * 1'000'000'000LL + info.st_mtim.tv_nsec};
}

void UserNames::Refresh() {
  const auto now = std::chrono::steady_clock::now();
  if (looked_.time_since_epoch().count() != 0 && now - looked_ < kLookInterval) return;
  looked_ = now;
  if (const Seen seen = Look(kUserFile); seen != users_seen_) {
    users_seen_ = seen;
    users_.clear();
    ReadLines(root_ + kUserFile, [this](std::uint32_t uid, const std::vector<std::string>& parts) {
      User user{.name = parts[0]};
      if (parts.size() >= 7) {
        user.home = parts[5];
        user.shell = parts[6];
      }
      users_.emplace(uid, std::move(user));
    });
  }
  if (const Seen seen = Look(kGroupFile); seen != groups_seen_) {
    groups_seen_ = seen;
    groups_.clear();
    ReadLines(root_ + kGroupFile,
              [this](std::uint32_t gid, const std::vector<std::string>& parts) { groups_.emplace(gid, parts[0]); });
  }
}

std::string UserNames::UserName(std::uint32_t uid) {
  Refresh();
  const auto user = users_.find(uid);
  return user == users_.end() ? "" : user->second.name;
}

void UserNames::Fill(policy::rules::Credentials* credentials) {
  Refresh();
  const auto user = users_.find(credentials->uid);
  const bool known = user != users_.end();
  credentials->user_name = known ? user->second.name : "";
  credentials->home = known ? user->second.home : "";
  credentials->shell = known ? user->second.shell : "";
  const auto group = groups_.find(credentials->gid);
  credentials->group_name = group == groups_.end() ? "" : group->second;
  credentials->login_name = credentials->login_uid ? UserName(*credentials->login_uid) : "";
}

void UserNames::FillOfContainer(policy::rules::Credentials* credentials) {
  const auto name = [](std::uint32_t number) { return number == 0 ? std::string("root") : std::string(); };
  credentials->user_name = name(credentials->uid);
  credentials->group_name = name(credentials->gid);
  credentials->login_name = credentials->login_uid ? name(*credentials->login_uid) : "";
  credentials->home = credentials->shell = "";
}

}  // namespace sluice::telemetry
