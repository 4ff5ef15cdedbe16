// How to reach the API server, and as whom: from inside a cluster, or by a kubeconfig file.
//   SL_ASSIGN_OR_RETURN(ApiConfig config, InClusterConfig());
// Errors name file, line and field, and never a secret's value.
#pragma once

#include <string>

#include "base/status.h"

namespace sluice::kube {

inline constexpr char kServiceAccountDirectory[] = "/var/run/secrets/kubernetes.io/serviceaccount";

// Something that is either in a file, which may change, or was given with the configuration. Both empty: there is none.
struct FileOrText {
  std::string file;
  std::string text;  // PEM for certificates and keys
  bool empty() const { return file.empty() && text.empty(); }
};

// A value. It holds secrets: never log it.
struct ApiConfig {
  std::string server;  // "https://10.96.0.1:443", maybe with a path; no "/" at the end
  FileOrText ca;       // empty: the system's
  bool insecure_skip_tls_verify = false;
  std::string tls_server_name;  // empty: the server's host
  std::string proxy_url;        // empty: as the environment says (https_proxy, no_proxy)

  FileOrText token;
  FileOrText client_certificate;
  FileOrText client_key;
  std::string username;
  std::string password;

  std::string ns;  // the pod's own namespace, or the context's; empty: none
};

// By KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, with the token, CA and namespace of `directory`. NotFound:
// this process runs in no cluster. Files are opened here only to see that they are there.
StatusOr<ApiConfig> InClusterConfig(const std::string& directory = kServiceAccountDirectory);

// The current context of the kubeconfig `file`. Paths in it are relative to its directory. `exec` and `auth-provider`
// are not supported: Unimplemented.
StatusOr<ApiConfig> ReadKubeconfig(const std::string& file);

// A whole file of at most 1 MiB. Errors name `path`.
StatusOr<std::string> ReadSmallFile(const std::string& path);

}  // namespace sluice::kube
