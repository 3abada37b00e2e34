//! What the command line says of the page: its address, its token, its names. An option wins over the file.

use super::args::HttpArgs;
use super::host::RealHost;
use crate::plan::host::Host;
use crate::plan::{Http, LoadError, Token};

/// Adds what the options say to what the file says. The file of the token is read each time.
///
/// # Errors
/// If other machines could reach the page without a token, or if the token cannot be read.
pub fn complete(args: &HttpArgs, http: &mut Option<Http>) -> Result<(), LoadError> {
    if let Some(address) = args.http {
        *http = Some(Http::at(address));
    }
    let Some(http) = http else {
        let is_alone = args.http_token_file.is_some() || !args.http_host.is_empty();
        return if is_alone { Err(LoadError::NoHttp) } else { Ok(()) };
    };
    http.hosts.clone_from(&args.http_host);
    if let Some(path) = &args.http_token_file {
        let name = path.display().to_string();
        let text = match RealHost.read(path) {
            Ok(Some(text)) => text,
            Ok(None) => return Err(LoadError::NoTokenFile { name }),
            Err(why) => return Err(LoadError::Unreadable { name, why }),
        };
        let token = Token::of(&text).map_err(|why| LoadError::Token { file: name, why })?;
        http.token = Some(token);
    }
    if http.token.is_none() && !http.address.ip().is_loopback() {
        return Err(LoadError::HttpWithoutToken { address: http.address });
    }
    Ok(())
}
