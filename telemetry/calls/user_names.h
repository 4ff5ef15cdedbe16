// Names of users and groups of the host, from its files. Thread-compatible. They are read again when they have changed,
// looked at every few seconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "policy/rules/event.h"

namespace sluice::telemetry {

class UserNames {
 public:
  // `root`: the directory that has etc/passwd and etc/group.
  explicit UserNames(std::string root) : root_(std::move(root)) {}

  // Fills the texts of `credentials` by its numbers; what is not known becomes empty.
  void Fill(policy::rules::Credentials* credentials);
  // Of a user in a container, whose files are not read: they are the workload's, and reading them could take for ever.
  // Only root is known.
  static void FillOfContainer(policy::rules::Credentials* credentials);
  std::string UserName(std::uint32_t uid);  // empty: not known

 private:
  struct User {
    std::string name, home, shell;
  };
  struct Seen {
    std::int64_t size = -1;
    std::int64_t changed_ns = 0;

    friend bool operator==(const Seen&, const Seen&) = default;
  };

  void Refresh();
  Seen Look(const char* file) const;

  const std::string root_;
  std::chrono::steady_clock::time_point looked_;
  Seen users_seen_, groups_seen_;
  std::map<std::uint32_t, User> users_;
  std::map<std::uint32_t, std::string> groups_;
};

}  // namespace sluice::telemetry
