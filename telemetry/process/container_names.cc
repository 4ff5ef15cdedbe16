#include "telemetry/process/container_names.h"

#include <utility>

#include "telemetry/event/pod_owner.h"

namespace sluice::telemetry {
namespace {

using ContainerPtr = std::shared_ptr<const Container>;

// The container of `process`, if something of it is missing there. Null: it is not known.
ContainerPtr UnnamedContainer(const ContainerNames& names, const v1::Process& process) {
  if (process.container_id().empty() || !process.container_name().empty()) return nullptr;
  return names.Find(process.container_id());
}

// The container of an exec, a fork, an exit or a hook, if there is something to add.
template <typename Message>
ContainerPtr ContainerToAdd(const ContainerNames& names, const Message& message) {
  const bool complete =
      !message.process().container_name().empty() && !message.workload().empty() && message.has_owner();
  if (complete || message.process().container_id().empty()) return nullptr;
  auto container = names.Find(message.process().container_id());
  const bool adds = container && (message.process().container_name().empty() || message.workload().empty() ||
                                  container->owner != nullptr);
  return adds ? container : nullptr;
}

template <typename Message>
void AddContainer(const Container& container, Message* message) {
  message->mutable_process()->set_container_name(container.name);
  if (message->workload().empty()) {
    message->set_namespace_(container.pod.ns);
    message->set_workload(container.pod.name);
  }
  if (!message->has_owner() && container.owner) SetOwner(*container.owner, message->mutable_owner());
}

// `of`: gives a mutable part of an event, which is an exec, a fork, an exit or a hook.
template <typename Message, typename Part>
EventPtr CompleteProcess(const ContainerNames& names, EventPtr event, const Message& message, Part of) {
  const ContainerPtr container = ContainerToAdd(names, message);
  if (!container) return event;
  auto more = std::make_shared<v1::Event>(*event);
  AddContainer(*container, of(*more));
  return more;
}

EventPtr CompleteFlow(const ContainerNames& names, EventPtr event) {
  const ContainerPtr source = UnnamedContainer(names, event->flow().source().process());
  const ContainerPtr destination = UnnamedContainer(names, event->flow().destination().process());
  if (!source && !destination) return event;
  auto more = std::make_shared<v1::Event>(*event);
  v1::Flow& flow = *more->mutable_flow();
  if (source) flow.mutable_source()->mutable_process()->set_container_name(source->name);
  if (destination) flow.mutable_destination()->mutable_process()->set_container_name(destination->name);
  return more;
}

}  // namespace

void ContainerNames::Set(const std::string& source, const std::vector<Container>& containers) {
  const std::lock_guard lock(mutex_);
  std::set<std::string> ids;
  for (const Container& container : containers) {
    if (!container.id.empty() && ids.insert(container.id).second) Add(container);
  }
  // After the new ones, so that what stays is never without a source.
  const auto before = ids_.find(source);
  if (before != ids_.end()) {
    for (const std::string& id : before->second) Release(id);
  }
  if (!ids.empty()) {
    ids_[source] = std::move(ids);
  } else if (before != ids_.end()) {
    ids_.erase(before);
  }
}

void ContainerNames::Add(const Container& container) {
  Known& known = known_[container.id];
  known.sources++;
  if (known.container == nullptr) {
    known.container = std::make_shared<const Container>(container);
  } else if (known.container->owner == nullptr && container.owner != nullptr) {
    auto more = std::make_shared<Container>(*known.container);
    more->owner = container.owner;
    known.container = std::move(more);
  }
}

void ContainerNames::Release(const std::string& id) {
  const auto found = known_.find(id);
  if (found == known_.end() || --found->second.sources != 0) return;
  gone_.push_back(id);
  while (gone_.size() > max_gone_) {
    const auto oldest = known_.find(gone_.front());
    if (oldest != known_.end() && oldest->second.sources == 0) known_.erase(oldest);
    gone_.pop_front();
  }
}

std::shared_ptr<const Container> ContainerNames::Find(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(id);
  return found == known_.end() ? nullptr : found->second.container;
}

EventPtr ContainerNames::Complete(EventPtr event) const {
  switch (event->event_case()) {
    case v1::Event::kExec:
      return CompleteProcess(*this, event, event->exec(), [](v1::Event& more) { return more.mutable_exec(); });
    case v1::Event::kFork:
      return CompleteProcess(*this, event, event->fork(), [](v1::Event& more) { return more.mutable_fork(); });
    case v1::Event::kExit:
      return CompleteProcess(*this, event, event->exit(), [](v1::Event& more) { return more.mutable_exit(); });
    case v1::Event::kHook:
      return CompleteProcess(*this, event, event->hook(), [](v1::Event& more) { return more.mutable_hook(); });
    case v1::Event::kAlert:
      return CompleteProcess(*this, event, event->alert(), [](v1::Event& more) { return more.mutable_alert(); });
    case v1::Event::kDetection:
      return CompleteProcess(*this, event, event->detection(),
                             [](v1::Event& more) { return more.mutable_detection(); });
    case v1::Event::kResponse:
      return CompleteProcess(*this, event, event->response(), [](v1::Event& more) { return more.mutable_response(); });
    case v1::Event::kFlow:
      return CompleteFlow(*this, std::move(event));
    default:
      return event;
  }
}

}  // namespace sluice::telemetry
