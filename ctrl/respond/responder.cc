#include "ctrl/respond/responder.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "telemetry/event/json.h"
#include "telemetry/event/text.h"

namespace sluice::respond {
namespace {

using namespace std::chrono_literals;
using policy::response::Response;
using telemetry::ProcessInstance;

// How long the thread waits for an event before it looks for the end.
constexpr auto kPoll = 200ms;
constexpr int kMostListed = 100;            // v1::Response.killed
constexpr std::size_t kMostCounted = 4096;  // workloads whose left out answers are counted one by one

// Every flow but forwarded ones, hooks, alerts and detections.
StatusOr<telemetry::EventFilter> MakeFilter() {
  v1::ObserveRequest request;
  for (const char* const type : {"flow", "hook", "alert", "detection"}) request.mutable_filter()->add_types(type);
  v1::ObserveRequest::Filter& except = *request.add_except();
  except.add_types("flow");
  except.add_verdicts(v1::Flow::FORWARDED);
  return telemetry::EventFilter::Make(request);
}

Killer::Sources KillerSources(const Responder::Options& options, const Responder::Actions& actions,
                              const Responder::Processes& processes) {
  return {.tree = processes.tree, .catch_up = processes.catch_up, .kill = actions.kill, .never = options.never_kill};
}

Status NoProcess() { return MakeError(absl::StatusCode::kNotFound, "the process is not known, or has ended"); }

std::string WithWord(v1::Response::Action action, v1::Response::Outcome outcome) {
  return fmt::format("{} {}", v1::Response::Action_Name(action), v1::Response::Outcome_Name(outcome));
}

}  // namespace

struct Responder::Answer {
  EntryPtr entry;
  v1::Event begun;  // of each record
  policy::ObjectName workload;
  std::optional<ProcessInstance> process;
  bool dry_run = false;
  std::vector<std::string> outcomes;  // for the message

  const Response& response() const { return *entry->response; }
};

// One record of answers that are left out, for each workload and period.
policy::response::Limits Responder::Entry::NoticeLimits(policy::response::Limits limits) {
  limits.per_workload = 1;
  return limits;
}

Responder::Responder(Options options, Actions actions, Processes processes, telemetry::EventHub* hub,
                     telemetry::History* history)
    : options_(std::move(options)),
      actions_(std::move(actions)),
      hub_(hub),
      processes_(std::move(processes)),
      records_(options_.node, hub, history, options_.clock),
      killer_(KillerSources(options_, actions_, processes_)),
      store_(options_.forensics) {}

Responder::~Responder() {
  stopping_ = true;
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Status Responder::Set(const policy::ResourceMap& resources) {
  const std::lock_guard lock(mutex_);
  if (resources.Shares(policy::Kind::kResponse, set_)) return OkStatus();
  auto entries = std::make_shared<Entries>();
  for (const auto& [id, resource] : resources.of(policy::Kind::kResponse)) {
    const auto same =
        std::find_if(entries_->begin(), entries_->end(), [&, &document = resource](const EntryPtr& entry) {
          const auto before = set_.find({policy::Kind::kResponse, {"", entry->response->name}});
          return entry->response->name == document.id.name.name && before->second.yaml == document.yaml;
        });
    entries->push_back(same == entries_->end() ? std::make_shared<Entry>(resource.response) : *same);
  }
  if (!entries->empty() && following_ == nullptr) {
    SL_ASSIGN_OR_RETURN(telemetry::EventFilter filter, MakeFilter());
    SL_ASSIGN_OR_RETURN(following_, hub_->Subscribe(std::move(filter)));
  }
  if (entries->empty()) following_ = nullptr;
  entries_ = std::move(entries);
  set_ = resources;
  if (following_ != nullptr && !thread_.joinable()) {
    copies_ = std::make_unique<Lane>(options_.max_waiting);
    messages_ = std::make_unique<Lane>(options_.max_waiting);
    thread_ = std::thread(&Responder::Run, this);
  }
  changed_.notify_all();
  return OkStatus();
}

Reports Responder::reports() const {
  const auto entries = [this] {
    const std::lock_guard lock(mutex_);
    return entries_;
  }();
  Reports reports;
  for (const EntryPtr& entry : *entries) {
    const std::lock_guard lock(entry->mutex);
    reports[entry->response->name] = entry->report;
  }
  return reports;
}

void Responder::Run() {
  while (!stopping_ && !hub_->closed()) {
    std::shared_ptr<telemetry::Subscription> following;
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kPoll, [this] { return following_ != nullptr || stopping_; });
      following = following_;
    }
    if (following == nullptr) continue;
    if (const telemetry::EventPtr event = following->Next(kPoll)) Consume(event);
  }
}

void Responder::Consume(const telemetry::EventPtr& event) {
  if (event->has_lost()) {
    lost_ += event->lost().count();
    return;
  }
  auto noticed = NoticedIn(*event);
  if (!noticed) return;
  const auto entries = [this] {
    const std::lock_guard lock(mutex_);
    return entries_;
  }();
  if (noticed->cause.labels.empty() && !noticed->cause.workload.name.empty() && actions_.labels)
    noticed->cause.labels = actions_.labels(noticed->cause.workload);
  for (const EntryPtr& entry : *entries) {
    const Response& response = *entry->response;
    if (!Answers(response, noticed->cause)) continue;
    if (Spares(response, noticed->cause)) {
      LeaveOut(entry, *noticed, *event, v1::Response::SPARED);
    } else if (!entry->limiter.Take(noticed->cause.workload, options_.now())) {
      LeaveOut(entry, *noticed, *event, v1::Response::LIMITED);
    } else {
      Give(entry, *noticed, *event);
    }
  }
}

void Responder::LeaveOut(const EntryPtr& entry, const Noticed& noticed, const v1::Event& event,
                         v1::Response::Outcome outcome) {
  {
    const std::lock_guard lock(entry->mutex);
    (outcome == v1::Response::SPARED ? entry->report.spared : entry->report.limited)++;
  }
  if (entry->notices.Take(noticed.cause.workload, options_.now())) {
    v1::Event record = records_.Begin(entry->response->name, noticed, event);
    record.mutable_response()->set_outcome(outcome);
    if (const auto left = entry->left_out.extract(noticed.cause.workload); !left.empty())
      record.mutable_response()->set_left_out(left.mapped());
    records_.Publish(std::move(record));
  } else if (entry->left_out.contains(noticed.cause.workload) || entry->left_out.size() < kMostCounted) {
    entry->left_out[noticed.cause.workload]++;
  }
}

void Responder::Give(const EntryPtr& entry, const Noticed& noticed, const v1::Event& event) {
  const Response& response = *entry->response;
  Answer answer{.entry = entry,
                .begun = records_.Begin(response.name, noticed, event),
                .workload = noticed.cause.workload,
                .process = std::nullopt,
                .dry_run = response.dry_run || noticed.only_watched,
                .outcomes = {}};
  if (noticed.process != nullptr && (response.kill || response.collect))
    answer.process = killer_.Find(noticed.process->pid(), noticed.process->exec_id());
  if (const auto left = entry->left_out.extract(answer.workload); !left.empty())
    answer.begun.mutable_response()->set_left_out(left.mapped());
  if (response.quarantine) Quarantine(answer);
  if (response.capture) Capture(answer);
  // Opened before the process is ended, and copied afterwards.
  StatusOr<std::vector<Evidence>> evidence = std::vector<Evidence>();
  if (response.collect && !answer.dry_run) evidence = LookAt(answer);
  if (response.kill) Kill(answer);
  if (response.collect) Collect(answer, std::move(evidence));
  if (response.notify) Notify(answer);
}

void Responder::Count(const EntryPtr& entry, const v1::Response& response) {
  const std::lock_guard lock(entry->mutex);
  entry->report.counts[response.action()][response.outcome()]++;
  entry->report.last = response.time();
}

// `record` has what else there is to say. In a dry run, nothing was done.
void Responder::End(Answer& answer, v1::Response::Action action, const Status& status, v1::Event record) {
  v1::Response& out = *record.mutable_response();
  out.set_action(action);
  out.set_outcome(!status.ok() ? v1::Response::FAILED : answer.dry_run ? v1::Response::DRY_RUN : v1::Response::DONE);
  if (!status.ok()) out.set_problem(Message(status));
  records_.SetTimes(&out);
  Count(answer.entry, out);
  answer.outcomes.push_back(WithWord(action, out.outcome()));
  answer.begun.mutable_response()->clear_left_out();  // said once
  records_.Publish(std::move(record));
}

void Responder::Quarantine(Answer& answer) {
  v1::Event record = answer.begun;
  Status status = OkStatus();
  std::string unsaved;
  if (answer.workload.name.empty()) {
    status = MakeError(absl::StatusCode::kFailedPrecondition, "a process of the node is in no workload to cut off");
  } else if (!answer.dry_run) {
    status = actions_.quarantine(answer.workload, &unsaved);
  }
  if (!unsaved.empty()) record.mutable_response()->set_problem("in force, but not saved: " + unsaved);
  End(answer, v1::Response::QUARANTINE, status, std::move(record));
}

void Responder::Capture(Answer& answer) {
  v1::Event record = answer.begun;
  Status status = OkStatus();
  if (answer.workload.name.empty()) {
    status = MakeError(absl::StatusCode::kFailedPrecondition, "a process of the node is in no workload with packets");
  } else if (!actions_.capture) {
    status = MakeError(absl::StatusCode::kFailedPrecondition, "this agent keeps no packets");
  } else if (!answer.dry_run) {
    const v1::Response& begun = answer.begun.response();
    const auto file =
        actions_.capture(answer.workload, fmt::format("Response {}: {}", begun.response(), begun.cause().text()));
    status = file.status();
    if (file.ok()) record.mutable_response()->set_capture_file(*file);
  }
  End(answer, v1::Response::CAPTURE, status, std::move(record));
}

void Responder::Kill(Answer& answer) {
  v1::Event record = answer.begun;
  v1::Response& out = *record.mutable_response();
  if (!answer.process) return End(answer, v1::Response::KILL, NoProcess(), std::move(record));
  if (answer.dry_run) return End(answer, v1::Response::KILL, OkStatus(), std::move(record));
  // A tree ends where another workload begins: that one may be spared.
  const auto is_same_workload = [&](const ProcessInstance& process) {
    return processes_.workload(process).value_or(policy::ObjectName()) == answer.workload;
  };
  const Killer::Killed killed = answer.response().kill->tree ? killer_.KillTree(*answer.process, is_same_workload)
                                                             : killer_.Kill(*answer.process);
  for (const ProcessInstance& process : killed.processes) {
    if (out.killed_size() == kMostListed) break;
    v1::KilledProcess& one = *out.add_killed();
    one.set_pid(process.pid);
    one.set_exec_id(telemetry::ExecId(options_.node, process));
    if (process.image != nullptr) one.set_binary(telemetry::ToUtf8(process.image->binary));
  }
  out.set_more_killed(static_cast<std::uint32_t>(killed.processes.size()) -
                      static_cast<std::uint32_t>(out.killed_size()));
  Status status = killed.status;
  if (status.ok() && killed.processes.empty()) status = NoProcess();
  End(answer, v1::Response::KILL, status, std::move(record));
}

StatusOr<std::vector<Evidence>> Responder::LookAt(const Answer& answer) const {
  if (!answer.process) return NoProcess();
  SL_ASSIGN_OR_RETURN(const ProcessHandle handle, ProcessHandle::Open(answer.process->pid, answer.process->birth_ns));
  return OpenEvidence(handle, *answer.response().collect);
}

void Responder::Collect(Answer& answer, StatusOr<std::vector<Evidence>> evidence) {
  if (answer.dry_run || !evidence.ok()) return End(answer, v1::Response::COLLECT, evidence.status(), answer.begun);
  auto files = std::make_shared<std::vector<Evidence>>(*std::move(evidence));
  auto own = std::make_shared<Answer>(answer);
  const bool pushed = copies_->Push([this, files, own] {
    v1::Event record = own->begun;
    Status first = OkStatus();
    std::uint64_t left = own->response().collect->max_bytes;
    for (Evidence& one : *files) {
      v1::CollectedFile& out = *record.mutable_response()->add_files();
      out.set_kind(one.kind);
      out.set_path(telemetry::ToUtf8(one.path));
      out.set_problem(one.problem);
      if (!one.file.valid()) continue;
      if (left == 0) {
        out.set_problem("maxBytes is used up");
        continue;
      }
      const auto copy = store_.Add(one.file.get(), left);
      if (!copy.ok()) {
        out.set_problem(Message(copy.status()));
        first.Update(copy.status());
        continue;
      }
      left -= std::min(left, copy->bytes);
      out.set_sha256(copy->sha256);
      out.set_bytes(copy->bytes);
      out.set_truncated(copy->truncated);
    }
    End(*own, v1::Response::COLLECT, first, std::move(record));
  });
  if (pushed) {
    answer.outcomes.emplace_back("COLLECT begun");
    answer.begun.mutable_response()->clear_left_out();
    return;
  }
  End(answer, v1::Response::COLLECT,
      MakeError(absl::StatusCode::kResourceExhausted, "{} collections wait already", options_.max_waiting),
      answer.begun);
}

void Responder::Notify(Answer& answer) {
  if (answer.dry_run) return End(answer, v1::Response::NOTIFY, OkStatus(), answer.begun);
  auto own = std::make_shared<Answer>(answer);
  const bool pushed = messages_->Push([this, own] {
    v1::Event message = own->begun;
    v1::Response& said = *message.mutable_response();
    said.set_action(v1::Response::NOTIFY);
    said.set_outcome(v1::Response::DONE);
    for (const std::string& outcome : own->outcomes) said.add_outcomes(outcome);
    records_.SetTimes(&said);
    auto json = telemetry::EventToJson(message);
    const Status sent = json.ok() ? actions_.notify(*own->response().notify, *json) : json.status();
    End(*own, v1::Response::NOTIFY, sent, own->begun);
  });
  if (pushed) return;
  End(answer, v1::Response::NOTIFY,
      MakeError(absl::StatusCode::kResourceExhausted, "{} messages wait already", options_.max_waiting), answer.begun);
}

}  // namespace sluice::respond
