#include "ctrl/kube/list_watch.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/printable.h"
#include "ctrl/kube/api_json.h"
#include "ctrl/kube/query.h"
#include "ctrl/kube/retry_after.h"

namespace sluice::kube {
namespace {

constexpr std::size_t kMaxErrorBody = 64U << 10U;  // of a response with an error code; the rest is not kept
constexpr std::size_t kPageTries = 3;              // failures before a list starts anew rather than at the failed page
constexpr std::size_t kSmallerPage = 4;            // a page that is too large is asked for again with this part of it

const char* ReasonText(Distrust::Reason reason) {
  switch (reason) {
    case Distrust::Reason::kNone:
      return "";
    case Distrust::Reason::kEmpty:
      return "the list is empty";
    case Distrust::Reason::kOlder:
      return "its resourceVersion is older";
    case Distrust::Reason::kAbsent:
      return "the server no longer knows this resource";
  }
  return "";
}

}  // namespace

ListWatch::ListWatch(ResourceSpec spec, const Shared& shared)
    : spec_(std::move(spec)),
      shared_(shared),
      timing_(shared.options.timing),
      limits_(shared.options.limits),
      backoff_(timing_, shared.environment.random),
      distrust_(timing_, limits_),
      list_(spec_, limits_, *shared.sink, *shared.parser),
      lines_(limits_.object_bytes),
      due_(shared.environment.now()),
      page_objects_(limits_.page_objects) {
  state_.name = spec_.name;
}

ListWatch::~ListWatch() {
  if (running_ != Running::kNothing) shared_.transport->Cancel(exchange_);
}

TimePoint ListWatch::NextTick() const {
  switch (running_) {
    case Running::kNothing:
      return due_;
    case Running::kPage:
      return TimePoint::max();  // the transport ends it
    case Running::kWatch:
      return head_.code == 0 ? std::min(header_deadline_, deadline_) : deadline_;
  }
  return due_;
}

void ListWatch::Tick() {
  const TimePoint now = shared_.environment.now();
  if (now < NextTick()) return;
  if (running_ != Running::kNothing) return EndHanging(now);
  if (must_list_) return StartPage();
  StartWatch();
}

void ListWatch::Start(Running what, HttpRequest request) {
  running_ = what;
  doing_ = what == Running::kPage ? "list" : "watch";
  head_ = {};
  body_ = {};
  stop_ = {};
  events_ = 0;
  started_ = shared_.environment.now();
  ++state_.requests;
  request.fresh_connection = std::exchange(fresh_connection_, false);
  exchange_ = shared_.transport->Start(request, this);
}

void ListWatch::StartPage() {
  if (state_.phase != ResourceState::Phase::kAbsent && state_.phase != ResourceState::Phase::kForbidden) {
    state_.phase = ResourceState::Phase::kListing;
  }
  Query query(spec_);
  query.Add("limit", fmt::format("{}", page_objects_));
  if (!list_.continue_token().empty()) query.Add("continue", list_.continue_token());
  Start(Running::kPage,
        {.path = query.path(), .compressed = true, .timeout = timing_.list_timeout, .low_speed_limit = true});
}

void ListWatch::StartWatch() {
  const auto spread = (timing_.watch_max - timing_.watch_min) * shared_.environment.random();
  const auto timeout =
      std::max(std::chrono::floor<std::chrono::seconds>(timing_.watch_min + spread), std::chrono::seconds(1));
  Query query(spec_);
  query.Add("watch", "true");
  query.Add("allowWatchBookmarks", "true");
  query.Add("resourceVersion", resource_version_);
  query.Add("timeoutSeconds", fmt::format("{}", timeout.count()));
  lines_.Clear();
  Start(Running::kWatch, {.path = query.path()});
  deadline_ = started_ + timeout + timing_.watchdog;
  header_deadline_ = started_ + timing_.header_timeout;
}

void ListWatch::EndHanging(TimePoint now) {
  shared_.transport->Cancel(exchange_);
  running_ = Running::kNothing;
  fresh_connection_ = true;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - started_).count();
  Fail(head_.code == 0 ? fmt::format("no answer in {} s", seconds) : fmt::format("did not end in {} s", seconds));
  CountEmptyWatch();
}

void ListWatch::Flush() {
  if (!batch_.is_list && batch_.changes.empty()) return;
  shared_.sink->Apply(spec_, std::exchange(batch_, {}));
}

void ListWatch::OnHead(const HttpHead& head) {
  head_ = head;
  if (head.code != 401) token_reread_ = false;
  if (head.code != 200) return;
  other_path_tried_ = false;
  if (const std::string wrong = CheckJsonType(head.content_type); !wrong.empty()) {
    stop_.error = InvalidError("{}", wrong);
    return;
  }
  if (running_ != Running::kWatch) return;
  ++state_.watches;
  state_.phase = ResourceState::Phase::kWatching;
  if (state_.failures > 0) LogInfo("kubernetes: {}: watched again", spec_.name);
  state_.failures = 0;
  state_.failing_since.reset();
  if (!state_.synced_since) state_.synced_since = shared_.environment.wall();
  backoff_.Works(shared_.environment.now());
}

bool ListWatch::OnBody(std::string_view data) {
  state_.bytes_received += data.size();
  if (!stop_.error.ok()) return false;
  if (head_.code != 200) {
    body_.append(data.substr(0, kMaxErrorBody - std::min(kMaxErrorBody, body_.size())));
    return true;
  }
  if (running_ == Running::kWatch) {
    lines_.Add(data);
    return TakeLines();
  }
  const std::size_t bound = page_objects_ == 1 ? limits_.object_bytes : limits_.page_bytes;
  if (body_.size() + data.size() > bound) {
    stop_.error = MakeError(absl::StatusCode::kResourceExhausted, "a page of {} objects has more than {} bytes",
                            page_objects_, bound);
    page_objects_ = std::max<std::size_t>(1, page_objects_ / kSmallerPage);
    return false;
  }
  body_.append(data);
  return true;
}

void ListWatch::OnEnd(const Status& status) {
  if (std::exchange(running_, Running::kNothing) == Running::kWatch) {
    EndWatch(status);
  } else {
    EndPage(status);
  }
}

void ListWatch::EndPage(const Status& status) {
  if (!stop_.error.ok()) return Fail(Message(stop_.error));
  if (!status.ok()) {
    fresh_connection_ = status.code() == absl::StatusCode::kDeadlineExceeded;
    return Fail(Message(status));
  }
  if (head_.code != 200) return EndRefused();
  const Status added = list_.AddPage(body_, store_);
  body_ = {};
  if (!added.ok()) {
    list_.Restart();
    return Fail(Message(added));
  }
  if (list_.continue_token().empty()) return FinishList();
  due_ = shared_.environment.now();
}

void ListWatch::FinishList() {
  const std::string version = list_.resource_version();
  Store::List list = list_.Take();
  list_.Restart();
  const std::size_t objects = list.keys.size();
  const TimePoint now = shared_.environment.now();
  if (!distrust_.Believe({.objects = objects, .resource_version = version}, store_.size(), resource_version_, now)) {
    return Distrusted(fmt::format("{} objects as of {}", objects, version));
  }
  Trusted();
  ++state_.lists;
  state_.listed = true;
  if (!state_.synced_since) state_.synced_since = shared_.environment.wall();
  batch_.is_list = true;
  batch_.is_absent = is_absent_ = false;
  batch_.changes = store_.Replace(std::move(list));
  resource_version_ = version;
  state_.resource_version = version;
  state_.objects = store_.size();
  state_.refused_objects = store_.refused();
  must_list_ = false;
  empty_watches_ = 0;
  due_ = now;
}

void ListWatch::EndWatch(const Status& status) {
  const bool is_short = shared_.environment.now() - started_ < timing_.short_watch;
  if (!stop_.error.ok()) {
    must_list_ = must_list_ || stop_.must_list;
    if (stop_.expired) return Expired();
    Fail(Message(stop_.error));
  } else if (head_.code != 0 && head_.code != 200) {
    return EndRefused();
  } else if (!status.ok()) {
    Fail(Message(status));
  } else if (lines_.unfinished() > 0) {
    Fail(fmt::format("ended within a line, after {} bytes of it", lines_.unfinished()));
  } else if (events_ == 0 && is_short) {
    Fail("ended at once");
  } else {
    due_ = shared_.environment.now();
  }
  CountEmptyWatch();
}

void ListWatch::CountEmptyWatch() {
  if (must_list_) return;
  empty_watches_ = events_ == 0 ? empty_watches_ + 1 : 0;
  // A server that was restored from an older backup is silent until it comes to the known resourceVersion.
  if (empty_watches_ < limits_.empty_watches) return;
  empty_watches_ = 0;
  must_list_ = true;
}

void ListWatch::EndRefused() {
  const ApiStatus status = ReadApiStatusText(*shared_.parser, body_);
  const auto header = ParseRetryAfter(head_.retry_after, shared_.environment.wall());
  const auto retry_after = std::min(header.value_or(std::chrono::seconds(status.retry_after_seconds)),
                                    std::chrono::duration_cast<std::chrono::seconds>(timing_.retry_after_max));
  const std::string what = fmt::format("{} {}", head_.code, status.ToString());
  switch (head_.code) {
    case 401:
      if (!std::exchange(token_reread_, true) && shared_.transport->RereadCredentials()) {
        due_ = shared_.environment.now();
        return;
      }
      return Fail(what);
    case 403:
      Fail(what);
      must_list_ = true;
      state_.phase = ResourceState::Phase::kForbidden;
      return;
    case 404:
      return EndAbsent();
    case 410:
      return Expired();
    case 504:  // of a resourceVersion that the server does not have yet
      must_list_ = true;
      return Fail(what, retry_after);
    default:
      return Fail(what, retry_after);
  }
}

void ListWatch::EndAbsent() {
  list_.Restart();
  if (!must_list_) {  // a watch; the list says the same or better
    must_list_ = true;
    Wait();
    return;
  }
  const TimePoint now = shared_.environment.now();
  if (TryOtherPath()) {
    due_ = now;
    return;
  }
  if (!distrust_.Believe({.absent = true, .resource_version = ""}, store_.size(), resource_version_, now)) {
    Distrusted("404");
  } else {
    Trusted();
    if (!std::exchange(is_absent_, true)) batch_.is_list = batch_.is_absent = true;
    batch_.changes = store_.Replace({});
    state_.listed = true;
    state_.failures = 0;
    state_.failing_since.reset();
    state_.objects = state_.refused_objects = 0;
    resource_version_.clear();
    state_.resource_version.clear();
    Wait();
  }
  state_.synced_since.reset();
  state_.phase = ResourceState::Phase::kAbsent;
}

bool ListWatch::TryOtherPath() {
  if (spec_.other_path.empty()) return false;
  std::swap(spec_.path, spec_.other_path);
  return !std::exchange(other_path_tried_, !other_path_tried_);
}

void ListWatch::Expired() {
  must_list_ = true;
  list_.Restart();
  if (++expirations_ > 1) return Fail("410: the resourceVersion is too old");
  due_ = shared_.environment.now();
}

bool ListWatch::TakeLines() {
  while (const auto line = lines_.Next()) {
    if (line->empty()) continue;
    stop_.error = TakeEvent(*line);
    if (!stop_.error.ok()) return false;
  }
  if (!lines_.too_long()) return true;
  stop_.error = MakeError(absl::StatusCode::kResourceExhausted, "an event of more than {} bytes", limits_.object_bytes);
  return false;
}

Status ListWatch::TakeEvent(std::string_view line) {
  SL_ASSIGN_OR_RETURN(const JsonElement event, ParseJson(*shared_.parser, lines_.buffer(), line));
  const std::string_view type = StringOf(event, "type");
  const auto object = FieldOf(event, "object");
  if (!object || !object->is_object()) return InvalidError("an event without an object");
  if (type == "ERROR") return TakeErrorEvent(ReadApiStatus(*object));

  ObjectMeta meta;
  if (type == "BOOKMARK") {
    if (const auto metadata = FieldOf(*object, "metadata")) {
      meta.resource_version = StringOf(*metadata, "resourceVersion");
    }
  } else if (type == "ADDED" || type == "MODIFIED" || type == "DELETED") {
    SL_ASSIGN_OR_RETURN(meta, ReadMeta(*object));
  } else {
    stop_.must_list = true;
    return InvalidError("an event of the unknown type {}", PrintableWord(type.substr(0, 40)));
  }
  if (meta.resource_version.empty()) return InvalidError("an event without a resourceVersion");
  if (IsOlder(meta.resource_version, resource_version_)) {
    stop_.must_list = true;
    return InvalidError("the resourceVersion went back from {} to {}", resource_version_, meta.resource_version);
  }
  if (type == "DELETED") {
    store_.Remove(meta, batch_.changes);
  } else if (type != "BOOKMARK" && !store_.Knows(meta)) {
    store_.Put(meta, shared_.sink->Convert(spec_, meta, *object), batch_.changes);
    if (store_.size() > limits_.objects) return InvalidError("more than {} objects", limits_.objects);
  }
  ++events_;
  ++state_.events;
  expirations_ = 0;
  resource_version_ = meta.resource_version;
  state_.resource_version = resource_version_;
  state_.last_event = shared_.environment.wall();
  state_.objects = store_.size();
  state_.refused_objects = store_.refused();
  return OkStatus();
}

Status ListWatch::TakeErrorEvent(const ApiStatus& status) {
  stop_.expired = status.code == 410 || status.reason == "Expired" || status.reason == "Gone";
  stop_.must_list = status.code == 504;
  return MakeError(absl::StatusCode::kUnavailable, "{} {}", status.code, status.ToString());
}

void ListWatch::Distrusted(const std::string& seen) {
  state_.distrust_reason = fmt::format("{} ({}), and {} objects as of {} are known: these stay in force",
                                       ReasonText(distrust_.reason()), seen, store_.size(), resource_version_);
  if (!state_.distrusted_since) {
    state_.distrusted_since = shared_.environment.wall();
    LogWarn("kubernetes: {}: not believed yet: {}", spec_.name, state_.distrust_reason);
  }
  Fail("not believed yet: " + state_.distrust_reason);
}

void ListWatch::Trusted() {
  if (state_.distrusted_since) LogWarn("kubernetes: {}: the server's list is believed again", spec_.name);
  state_.distrusted_since.reset();
  state_.distrust_reason.clear();
}

void ListWatch::Fail(const std::string& what, std::chrono::seconds at_least) {
  state_.last_error = fmt::format("{}: {}: {}", spec_.name, doing_, what);
  ++state_.errors;
  if (++state_.failures == 1) {
    state_.failing_since = shared_.environment.wall();
    LogWarn("kubernetes: {}", state_.last_error);  // one line for a failure that goes on
  }
  state_.synced_since.reset();
  if (must_list_ && state_.failures % kPageTries == 0) list_.Restart();
  Wait(at_least);
}

void ListWatch::Wait(std::chrono::seconds at_least) {
  const TimePoint now = shared_.environment.now();
  state_.phase = ResourceState::Phase::kWaiting;
  due_ = now + std::max<Timing::Duration>(backoff_.Next(now), at_least);
}

}  // namespace sluice::kube
