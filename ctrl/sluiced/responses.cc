#include "ctrl/sluiced/responses.h"

#include <unistd.h>

#include "base/log.h"

namespace sluice {
namespace {

using namespace std::chrono_literals;

// How long the search for the processes of a tree waits for the sensors' records.
constexpr auto kCatchUpTree = 50ms;

respond::Responder::Options ResponderOptions(const Responses::Options& options, const rights::Helper* helper) {
  return {.node = options.node,
          .forensics = {.directory = options.state_dir + "/forensics", .max_bytes = options.forensics_bytes},
          .never_kill = {static_cast<std::uint32_t>(getpid()), static_cast<std::uint32_t>(helper->pid())}};
}

respond::Responder::Processes ProcessesOf(telemetry::ProcessSensor* sensor) {
  if (sensor == nullptr) return {};
  return {
      .tree = &sensor->tree(),
      .catch_up = [sensor] { sensor->CatchUp(kCatchUpTree); },
      .workload = [sensor](const telemetry::ProcessInstance& process) { return sensor->events().WorkloadOf(process); }};
}

respond::Responder::Actions ActionsOf(reconcile::Controller* controller, const rights::Helper* helper,
                                      respond::MessageSender* sender, telemetry::Recorder* recorder) {
  respond::Responder::Actions actions = {
      .quarantine = [controller](const policy::ObjectName& workload,
                                 std::string* unsaved) { return controller->Quarantine(workload, unsaved).status(); },
      .kill = [helper](int pidfd) { return helper->Kill(pidfd); },
      .notify = [sender](const auto& notify, const std::string& json) { return sender->Send(notify, json); },
      .labels =
          [controller](const policy::ObjectName& workload) {
            const auto view = controller->view();
            const policy::ResourceId id{policy::Kind::kWorkload, workload};
            return view->resources.contains(id) ? view->resources.at(id).workload->labels : policy::Labels();
          }};
  if (recorder != nullptr) {
    actions.capture = [recorder](const policy::ObjectName& workload, const std::string& why) {
      return recorder->Write(workload, {.kind = "response", .text = why});
    };
  }
  return actions;
}

}  // namespace

Responses::Responses(const Options& options, reconcile::Controller* controller, telemetry::Telemetry* telemetry,
                     const rights::Helper* helper, telemetry::Recorder* recorder)
    : controller_(controller),
      responder_(ResponderOptions(options, helper), ActionsOf(controller, helper, &sender_, recorder),
                 ProcessesOf(telemetry->processes()), &telemetry->hub(), &telemetry->history()) {
  controller_->FollowViews([this](const reconcile::View& view) {
    if (const Status set = responder_.Set(view.resources); !set.ok())
      LogError("Responses are not in force: {}", Message(set));
  });
}

Responses::~Responses() {
  controller_->FollowViews({});
  sender_.Interrupt();
}

telemetry::ResponseNumbers Responses::Numbers() const {
  telemetry::ResponseNumbers numbers{.events_lost = responder_.lost()};
  for (const auto& [name, report] : responder_.reports()) {
    telemetry::ResponseNumbers::Response response{.name = name, .spared = report.spared, .limited = report.limited};
    for (int action = v1::Response::QUARANTINE; action < v1::Response::Action_ARRAYSIZE; ++action) {
      for (const auto outcome : {v1::Response::DONE, v1::Response::FAILED, v1::Response::DRY_RUN}) {
        response.answers.push_back({.action = v1::Response::Action_Name(static_cast<v1::Response::Action>(action)),
                                    .outcome = v1::Response::Outcome_Name(outcome),
                                    .count = report.counts[action][outcome]});
      }
    }
    numbers.responses.push_back(std::move(response));
  }
  const respond::ForensicStore::Fill fill = responder_.forensics();
  numbers.forensic_bytes = fill.bytes;
  numbers.forensic_files = fill.files;
  numbers.forensic_removed = fill.removed;
  return numbers;
}

}  // namespace sluice
