// What must survive a restart, in an SQLite database in the state directory: the resources applied through the API, the
// endpoint numbers, who is in quarantine, the revision. The only user of SQLite. Not thread-safe: the controller orders
// its calls.
//
// Open takes the directory for itself; errors name the file and what to do:
//   AlreadyExists        another agent uses it
//   FailedPrecondition   written by a newer version
//   DataLoss             damaged
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "ctrl/base/status.h"
#include "ctrl/workload/endpoint_ids.h"
#include "policy/resource_map.h"

struct sqlite3;

namespace sluice::reconcile {

// One step from what was saved before.
struct StateChange {
  std::vector<policy::Resource> puts;
  std::vector<policy::ResourceId> deletes;
  std::vector<std::pair<policy::ObjectName, std::uint32_t>> new_endpoints;
  std::vector<policy::ObjectName> gone_endpoints;
  std::vector<policy::ObjectName> quarantines;
  std::vector<policy::ObjectName> releases;
  std::uint64_t revision = 0;
};

class StateStore {
 public:
  static constexpr const char* kDefaultDirectory = "/var/lib/sluice";

  struct State {
    policy::ResourceMap resources;
    workload::EndpointIds endpoints;
    std::set<policy::ObjectName> quarantined;  // also workloads that do not exist now
    std::uint64_t revision = 0;
  };

  static StatusOr<std::unique_ptr<StateStore>> Open(const std::string& directory);
  ~StateStore();
  StateStore(const StateStore&) = delete;
  StateStore& operator=(const StateStore&) = delete;

  StatusOr<State> Load() const;

  // The change is on disk, for good, when this returns OK, and not at all otherwise. `enforce` runs in between, when
  // all is written but not yet final: its error is returned and nothing is kept.
  Status Save(const StateChange& change, const std::function<Status()>& enforce);

  // Deletes what Open and Save left in `directory`, and the directory when nothing else is in it. AlreadyExists when an
  // agent uses it.
  static Status Remove(const std::string& directory);

 private:
  StateStore(std::string path, sqlite3* db) : path_(std::move(path)), db_(db) {}
  Status Prepare();
  Status Write(const StateChange& change);
  Status WriteQuarantine(const StateChange& change);
  Status Execute(const char* sql) const;

  const std::string path_;
  sqlite3* const db_;
};

}  // namespace sluice::reconcile
