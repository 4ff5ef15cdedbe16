#include "ctrl/relay/event_stream.h"

#include "ctrl/relay/event_check.h"

namespace sluice::cluster {

std::int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

EventStreamPtr EventStream::Start(NodePtr node, const v1::ObserveRequest& request, EventMerge::Source source,
                                  const Limits& limits, Inbox* inbox) {
  EventStreamPtr stream(new EventStream(std::move(node), request, source, limits, inbox));
  {
    const std::lock_guard lock(inbox->mutex);
    inbox->open.insert(stream);
    inbox->merge.Add(source, NowNs());
  }
  stream->node_->stub().async()->Observe(&stream->context_, &stream->request_, stream.get());
  // A hold, as reads may be started by the reader's thread while no operation is under way (Resume).
  stream->AddHold();
  stream->StartRead(&stream->incoming_);
  stream->StartCall();
  return stream;
}

// With the inbox's mutex held.
bool EventStream::HasRoom() const {
  return inbox_->merge.waiting(source_) < limits_.events && inbox_->merge.waiting_bytes(source_) < limits_.bytes;
}

void EventStream::OnReadInitialMetadataDone(bool ok) {
  const std::lock_guard lock(inbox_->mutex);
  begun_ = begun_ || ok;
  inbox_->changed.notify_all();
}

void EventStream::OnReadDone(bool ok) {
  const EventFault fault = ok ? CheckEvent(node_->name(), &incoming_) : EventFault::kNone;
  if (fault == EventFault::kRenamed) ++node_->counts().renamed;
  if (fault == EventFault::kRefused) ++node_->counts().refused;
  bool stop = false;
  {
    const std::lock_guard lock(inbox_->mutex);
    inbox_->changed.notify_all();
    excessive_ = ok && limits_.most != 0 && ++received_ > limits_.most;
    stop = !ok || excessive_ || cancelled_;
    if (!stop) {
      if (fault != EventFault::kRefused) inbox_->merge.Push(source_, std::move(incoming_), NowNs());
      incoming_.Clear();
      paused_ = !HasRoom();
      if (paused_) {
        ++node_->counts().paused;
        return;
      }
    }
  }
  if (stop) {
    if (ok) context_.TryCancel();
    RemoveHold();
    return;
  }
  StartRead(&incoming_);
}

void EventStream::Resume() {
  if (!paused_ || !HasRoom()) return;
  paused_ = false;
  StartRead(&incoming_);
}

void EventStream::Cancel() {
  cancelled_ = true;
  context_.TryCancel();
  // Without a read under way, nothing else ends the call.
  if (std::exchange(paused_, false)) RemoveHold();
}

void EventStream::OnDone(const grpc::Status& status) {
  const std::lock_guard lock(inbox_->mutex);
  ended_ = true;
  end_ = excessive_ ? grpc::Status(grpc::StatusCode::OUT_OF_RANGE, "it sends more events than were asked for") : status;
  inbox_->merge.End(source_);
  auto self = inbox_->open.extract(shared_from_this());
  inbox_->closed.push_back(std::move(self.value()));
  inbox_->changed.notify_all();
}

}  // namespace sluice::cluster
