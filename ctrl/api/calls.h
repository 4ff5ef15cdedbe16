// The running calls: each is admitted by the right of its caller and the limits of its kind, and is ended when its
// client stops reading. Thread-safe.
//   SL_ASSIGN_OR_RETURN(const Call call, calls->Begin(context, CallKind::kRead));
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/sync_stream.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <set>

#include "ctrl/api/connections.h"
#include "ctrl/api/refusal_rate.h"

namespace sluice::api {

// kAnswer: one message of bounded size. kQuarantine: has its own limit, so that changes cannot use it up. kLarge:
// beside kRead or kFollow, while a record of every flow is held for it. kReflection: a stream of gRPC's reflection
// service.
enum class CallKind { kChange, kRead, kFollow, kAnswer, kQuarantine, kLarge, kReflection };
inline constexpr std::size_t kCallKinds = 7;

struct CallLimits {
  // Concurrent calls by kind: of all callers, of one user or host, and reserved for root, which may also use all
  // others. Changes that wait are made together, so many may wait.
  std::array<std::size_t, kCallKinds> total{48, 16, 60, 32, 32, 4, 8};
  std::array<std::size_t, kCallKinds> of_one{24, 8, 30, 16, 16, 1, 4};
  std::array<std::size_t, kCallKinds> of_root{8, 4, 8, 8, 8, 1, 2};
  // Of all changes' requests together; one user or host may have half. A single change is admitted whatever its size.
  std::size_t change_bytes = 256U << 20;
  std::chrono::milliseconds slow_reader{60000};  // how long a reader may let the agent wait
  std::chrono::milliseconds listing{300000};     // how long one kRead or kLarge may take
};

// Why something was refused, for the metrics.
enum class Refusal { kConnectionRight, kConnectionLimit, kCallRight, kCallLimit, kSlowReader };
inline constexpr std::array kRefusalNames{"CONNECTION_RIGHT", "CONNECTION_LIMIT", "CALL_RIGHT", "CALL_LIMIT",
                                          "SLOW_READER"};

class Calls;

// Ends with its destructor.
class Call {
 public:
  Call(Call&&) = default;
  Call& operator=(Call&&) = delete;
  ~Call();

  const Caller& caller() const { return state_->caller; }
  // False: the reader has gone, or was too slow.
  template <typename Message>
  bool Write(grpc::ServerWriter<Message>* writer, const Message& message) const {
    state_->waits_since_ns = std::chrono::steady_clock::now().time_since_epoch().count();
    const bool written = writer->Write(message);
    state_->waits_since_ns = 0;
    return written;
  }

 private:
  friend class Calls;
  struct State {
    Calls* calls = nullptr;
    grpc::ServerContextBase* context = nullptr;
    Caller caller;
    CallKind kind = CallKind::kAnswer;
    std::size_t bytes = 0;
    std::optional<std::uint64_t> connection;
    const std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
    std::atomic<std::int64_t> waits_since_ns = 0;  // 0: it does not wait for the reader
    bool cut = false;
  };
  explicit Call(std::unique_ptr<State> state) : state_(std::move(state)) {}
  std::unique_ptr<State> state_;
};

// Of kChange and kQuarantine.
struct ChangeCall {
  const char* action = "";  // as v1::Change.action
  std::size_t bytes = 0;    // of the request
};

class Calls {
 public:
  // A change, or a connection, of a caller that has no right to it. Called from several threads.
  using RefusedChange = std::function<void(const char* action, const Caller& caller, const std::string& why)>;

  // By TCP the certificate identifies the client: with one of `change_names` as common name or subject alternative name
  // it may change, else read. Without any `change_names`, all may change.
  Calls(CallLimits limits, Connections* connections, std::vector<std::string> change_names)
      : limits_(limits), connections_(connections), change_names_(std::move(change_names)) {}

  // Before the first call.
  void OnRefusedChange(RefusedChange report) { report_ = std::move(report); }

  // PermissionDenied: the caller may not. ResourceExhausted: too many are under way. `context` outlives the call.
  StatusOr<Call> Begin(grpc::ServerContextBase* context, CallKind kind, ChangeCall change = {});
  void EndSlow(Connections::Clock::time_point now);

  void Count(Refusal refusal) { refused_[static_cast<std::size_t>(refusal)]++; }
  // Hands it to OnRefusedChange, no more often than RefusalRate allows.
  void ReportRefused(const char* action, const Caller& caller, const std::string& why);
  std::vector<std::pair<std::string, std::uint64_t>> RefusedByCause() const;
  Connections& connections() { return *connections_; }

 private:
  friend class Call;
  Status Admit(const Call::State& state, const char* action);
  void End(Call::State* state);
  void ReadCertificate(const grpc::AuthContext& auth, const std::string& peer, Caller* caller) const;

  const CallLimits limits_;
  Connections* const connections_;
  const std::vector<std::string> change_names_;
  RefusedChange report_;
  std::mutex mutex_;
  std::set<Call::State*> under_way_;
  std::array<std::size_t, kCallKinds> total_{};
  struct Load {
    std::size_t calls = 0;
    std::size_t bytes = 0;
  };
  std::map<std::pair<CallKind, std::string>, Load> of_one_;
  std::size_t bytes_ = 0;
  RefusalRate refusal_rate_;
  std::array<std::atomic<std::uint64_t>, kRefusalNames.size()> refused_{};
};

}  // namespace sluice::api
