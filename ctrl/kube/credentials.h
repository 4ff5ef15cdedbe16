// What requests authenticate with, and which servers are trusted. Files are read again each minute and on demand, as a
// cluster rotates tokens and certificates. For one thread.
#pragma once

#include <optional>

#include "ctrl/kube/config.h"
#include "ctrl/kube/environment.h"
#include "ctrl/kube/options.h"

namespace sluice::kube {

class Credentials {
 public:
  // Texts, not paths. Empty: there is none.
  struct Values {
    std::string token;
    std::string ca;
    std::string client_certificate;
    std::string client_key;
    bool operator==(const Values&) const = default;
  };

  // `config` must outlive this.
  Credentials(const ApiConfig& config, const Timing& timing);

  // Reads the files when the last time was Timing::credentials ago, or never.
  void Refresh(TimePoint now);
  // Reads the files now. True: something has changed.
  bool Reread(TimePoint now);

  const Values& values() const { return values_; }
  // Of the last reading. With an error the values are those from before.
  const Status& status() const { return status_; }

 private:
  StatusOr<Values> Read() const;

  const ApiConfig& config_;
  Timing::Duration interval_;
  Values values_;
  Status status_;
  std::optional<TimePoint> read_;
};

}  // namespace sluice::kube
