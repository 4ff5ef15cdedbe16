// Mutual TLS for the API by TCP: each end shows a certificate that the other's CA signed.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <filesystem>
#include <memory>
#include <string>

#include "base/status.h"

namespace sluice::api {

// Names of PEM files; all empty: no TLS.
struct TlsFiles {
  std::string certificate;  // its own, then those between it and the CA
  std::string key;
  std::string ca;

  bool empty() const { return certificate.empty() && key.empty() && ca.empty(); }
  bool complete() const { return !certificate.empty() && !key.empty() && !ca.empty(); }
};

// InvalidArgument names the file that cannot be read or has no certificate or key in it, or the pair that does not
// belong together.
Status CheckTls(const TlsFiles& files);

// Reads the files again, within a second or two, when they change.
std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(const TlsFiles& files);
StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeClientCredentials(const TlsFiles& files);

// Says in the log when the files have changed, and whether connections can be made by what is in them now.
class TlsWatch {
 public:
  explicit TlsWatch(TlsFiles files);
  void Look();

 private:
  std::string Facts() const;
  const TlsFiles files_;
  std::string seen_;
};

}  // namespace sluice::api
