// Answers events as the Responses in force say. A thread of its own follows the hub while there is a Response; what
// takes long (copying files, sending messages) is done by two more threads. So an answer waits for no other workload's
// files and for no receiver of messages.
//
//   Responder responder(options, actions, processes, &hub, &history);
//   responder.Set(resources);   // whenever they have changed
//
// For one event, each Response that is for it answers, in the order of their names, and each in this order: quarantine;
// capture; opening the files to collect; kill; copying; notify. Events of one workload that do not fit into the queue
// are lost (lost()), and push out no other workload's (EventHub). Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ctrl/respond/evidence.h"
#include "ctrl/respond/forensic_store.h"
#include "ctrl/respond/killer.h"
#include "ctrl/respond/lane.h"
#include "ctrl/respond/limiter.h"
#include "ctrl/respond/records.h"
#include "policy/resource/resource_map.h"
#include "telemetry/process/process_events.h"

namespace sluice::respond {

struct Report {
  std::uint64_t counts[v1::Response::Action_ARRAYSIZE][v1::Response::Outcome_ARRAYSIZE] = {};  // since the start
  std::uint64_t spared = 0;                                                                    // answers
  std::uint64_t limited = 0;                                                                   // likewise
  std::optional<google::protobuf::Timestamp> last;
};
using Reports = std::map<std::string, Report>;  // by the Response's name

class Responder {
 public:
  struct Options {
    std::string node;
    ForensicStore::Options forensics;
    std::vector<std::uint32_t> never_kill;  // as Killer::Sources.never
    std::size_t max_waiting = 64;           // copies, and messages, that wait
    telemetry::Clock clock = telemetry::ReadClocks;
    std::function<Limiter::Time()> now = std::chrono::steady_clock::now;
  };
  // What the rest of the agent does; from any thread.
  struct Actions {
    // Returns when the kernel cuts the workload off. `unsaved` gets why it would not outlive a boot.
    std::function<Status(const policy::ObjectName& workload, std::string* unsaved)> quarantine;
    // Begins a file of the workload's packets from before and after, and returns its path; `why` is said in it. Empty:
    // this agent keeps no packets.
    std::function<StatusOr<std::string>(const policy::ObjectName& workload, const std::string& why)> capture;
    std::function<Status(int pidfd)> kill;  // sends SIGKILL
    std::function<Status(const policy::response::Notify& notify, const std::string& json)> notify;
    std::function<policy::Labels(const policy::ObjectName& workload)> labels;
  };

  // What the process sensors know. Without a tree no process is known, so none is ended.
  struct Processes {
    const telemetry::ProcessTree* tree = nullptr;
    std::function<void()> catch_up;        // ProcessSensor::CatchUp; may be empty
    telemetry::WorkloadResolver workload;  // with a tree
  };

  // `history` may be null. All must outlive the responder.
  Responder(Options options, Actions actions, Processes processes, telemetry::EventHub* hub,
            telemetry::History* history);
  ~Responder();
  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;

  // The Responses among `resources` are in force when it returns. Unchanged ones keep their counts and limits. Error:
  // the hub has no room for one more follower; nothing is answered.
  Status Set(const policy::ResourceMap& resources);

  Reports reports() const;
  std::uint64_t lost() const { return lost_; }  // events that may have had an answer
  ForensicStore::Fill forensics() const { return store_.fill(); }

 private:
  // One Response in force.
  struct Entry {
    explicit Entry(std::shared_ptr<const policy::response::Response> said)
        : response(std::move(said)), limiter(response->limits), notices(NoticeLimits(response->limits)) {}
    static policy::response::Limits NoticeLimits(policy::response::Limits limits);

    const std::shared_ptr<const policy::response::Response> response;
    // These three: of the thread.
    Limiter limiter;
    Limiter notices;  // of answers that are left out
    std::map<policy::ObjectName, std::uint32_t> left_out;
    mutable std::mutex mutex;
    Report report;  // by `mutex`
  };
  using EntryPtr = std::shared_ptr<Entry>;
  using Entries = std::vector<EntryPtr>;
  // One answer while it is given.
  struct Answer;

  void Run();
  void Consume(const telemetry::EventPtr& event);
  void LeaveOut(const EntryPtr& entry, const Noticed& noticed, const v1::Event& event, v1::Response::Outcome outcome);
  void Give(const EntryPtr& entry, const Noticed& noticed, const v1::Event& event);
  void End(Answer& answer, v1::Response::Action action, const Status& status, v1::Event record);
  void Quarantine(Answer& answer);
  void Capture(Answer& answer);
  void Kill(Answer& answer);
  void Collect(Answer& answer, StatusOr<std::vector<Evidence>> evidence);
  void Notify(Answer& answer);
  StatusOr<std::vector<Evidence>> LookAt(const Answer& answer) const;
  static void Count(const EntryPtr& entry, const v1::Response& response);

  const Options options_;
  const Actions actions_;
  telemetry::EventHub* const hub_;
  const Processes processes_;
  Records records_;
  const Killer killer_;
  ForensicStore store_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<const Entries> entries_ = std::make_shared<Entries>();  // by mutex_
  std::shared_ptr<telemetry::Subscription> following_;                    // by mutex_; null: there is no Response
  policy::ResourceMap set_;                                               // by mutex_
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> lost_ = 0;
  std::unique_ptr<Lane> copies_;    // from the first Response on
  std::unique_ptr<Lane> messages_;  // likewise
  std::thread thread_;              // likewise
};

}  // namespace sluice::respond
