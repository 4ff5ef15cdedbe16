// The thread that admits connections: accepts them, identifies the caller, and hands them to a gRPC server or refuses
// them. It also ends calls whose reader is too slow, and restores the socket file.
#pragma once

#include <functional>
#include <thread>

#include "ctrl/api/calls.h"
#include "ctrl/api/listener.h"

namespace sluice::api {

class Admission {
 public:
  // Takes over the descriptor of a caller with this right; gRPC closes it.
  using Unix = std::function<void(int fd, Right right)>;
  using Tcp = std::function<void(int fd)>;
  struct Options {
    UnixAccess access;
    Unix let_in_unix;
    Tcp let_in_tcp;
    std::function<void()> each_second;  // may be empty
  };

  // `calls` outlives the admission.
  static StatusOr<std::unique_ptr<Admission>> Start(Listener listener, Options options, Calls* calls);
  ~Admission();  // no new connections; those that are open stay
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

 private:
  Admission(Listener listener, Options options, Calls* calls, Fd stop)
      : listener_(std::move(listener)), options_(std::move(options)), calls_(calls), stop_(std::move(stop)) {}
  void Run();
  bool AcceptAll();
  void LetInUnix(Fd socket);
  void LetInTcp(Fd socket);
  void Refuse(Refusal refusal, const std::string& what);
  void EachSecond();

  Listener listener_;
  const Options options_;
  Calls* const calls_;
  const Fd stop_;  // eventfd
  std::chrono::steady_clock::time_point told_{};
  std::string restore_problem_;  // logged already
  std::thread thread_;
};

}  // namespace sluice::api
