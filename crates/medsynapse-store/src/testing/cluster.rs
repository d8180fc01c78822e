//! [`Cluster`]: a PostgreSQL of one's own, from the programs that are installed, for tests.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::StoreError;
use crate::postgres::PostgresOptions;

/// How long PostgreSQL may take to come up or to go down.
const PATIENCE: Duration = Duration::from_mins(1);
/// The name of its superuser.
const USER: &str = "medsynapse";

/// Ends PostgreSQL and takes its directory away once nobody holds the other end of its standard
/// input: when the process of the tests has ended, in whatever way.
const JANITOR: &str = "read -r _; \
    pid=$(head -n 1 data/postmaster.pid 2>/dev/null) && kill -s QUIT \"$pid\"; \
    for _ in 1 2 3 4 5 6 7 8 9 10; do [ -e data/postmaster.pid ] || break; sleep 0.2; done; \
    directory=$PWD; cd / && rm -rf \"$directory\"";

static SHARED: Mutex<Option<Arc<Cluster>>> = Mutex::new(None);
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// What a [`Cluster`] asks of those who connect: nothing, by default.
#[derive(Clone, Default)]
pub struct ClusterOptions {
    /// More settings, written as in `postgresql.conf`; `pg_file_settings` shows them as of a file
    /// `more.conf`.
    pub settings: String,
    /// Its certificate and the key of it, as PEM: connections may be protected then.
    pub tls: Option<(String, String)>,
    /// The password of its user, by SCRAM-SHA-256.
    pub password: Option<String>,
}

impl std::fmt::Debug for ClusterOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterOptions")
            .field("tls", &self.tls.is_some())
            .field("password", &self.password.is_some())
            .finish_non_exhaustive()
    }
}

/// A PostgreSQL in a temporary directory, on a free port of this machine, with `fsync` on. It ends
/// with this value, or with the process.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    programs: PathBuf,
    options: ClusterOptions,
    port: u16,
    owner: Option<(u32, u32)>,
    child: Mutex<Option<Child>>,
    janitor: Option<Child>,
}

impl Cluster {
    /// Starts one; says what is missing where that is not possible.
    ///
    /// # Errors
    ///
    /// A sentence for the one who runs the tests.
    pub fn start() -> Result<Self, String> {
        Self::start_with(ClusterOptions::default())
    }

    /// Starts one that asks for more.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start); PostgreSQL does not take the settings.
    pub fn start_with(options: ClusterOptions) -> Result<Self, String> {
        Self::start_in(&std::env::temp_dir(), options)
    }

    fn start_in(place: &Path, options: ClusterOptions) -> Result<Self, String> {
        let programs = programs().ok_or(
            "PostgreSQL is not installed: put initdb and postgres on PATH \
             (Debian: apt-get install postgresql)",
        )?;
        let owner = owner()?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("medsynapse-postgres-{}-{number}", std::process::id());
        let directory = place.join(name);
        let say = |error: std::io::Error| format!("{}: {error}", directory.display());
        std::fs::create_dir(&directory).map_err(say)?;
        #[cfg(unix)]
        if let Some((user, group)) = owner {
            std::os::unix::fs::chown(&directory, Some(user), Some(group)).map_err(say)?;
        }
        let mut cluster = Self {
            port: free_port().map_err(say)?,
            directory,
            programs,
            options,
            owner,
            child: Mutex::new(None),
            janitor: None,
        };
        cluster.janitor = cluster
            .run_as("sh".as_ref())
            .args(["-c", JANITOR])
            .stdin(Stdio::piped())
            .spawn()
            .ok();
        cluster.initialise()?;
        cluster.up()?;
        Ok(cluster)
    }

    fn initialise(&self) -> Result<(), String> {
        let mut command = self.command("initdb");
        command
            .args(["-D", "data", "-U", USER, "-E", "UTF8", "--locale=C"])
            .args(["--auth-local=trust", "--no-sync"]);
        if let Some(password) = &self.options.password {
            self.put("password", password)?;
            command.args(["--auth-host=scram-sha-256", "--pwfile=password"]);
        } else {
            command.arg("--auth-host=trust");
        }
        let made = command
            .output()
            .map_err(|error| format!("initdb: {error}"))?;
        if !made.status.success() {
            let text = String::from_utf8_lossy(&made.stderr);
            return Err(format!("initdb: {text}"));
        }
        let mut settings = String::from("max_connections = 200\nfsync = on\n");
        if let Some((certificate, key)) = &self.options.tls {
            self.put("certificate.pem", certificate)?;
            self.put("key.pem", key)?;
            settings += "ssl = on\nssl_cert_file = '../certificate.pem'\n\
                ssl_key_file = '../key.pem'\n";
        }
        settings += "include 'more.conf'\n";
        self.put("data/more.conf", &self.options.settings)?;
        let file = std::fs::File::options()
            .append(true)
            .open(self.directory.join("data/postgresql.conf"));
        file.and_then(|mut file| file.write_all(settings.as_bytes()))
            .map_err(|error| error.to_string())
    }

    /// A file that PostgreSQL alone may read.
    fn put(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.directory.join(name);
        let written = std::fs::write(&path, text);
        #[cfg(unix)]
        let written = written.and_then(|()| {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
            match self.owner {
                Some((user, group)) => std::os::unix::fs::chown(&path, Some(user), Some(group)),
                None => Ok(()),
            }
        });
        written.map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The one that the tests of this process share, in memory where there is such a place.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn shared() -> Result<Arc<Self>, String> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = &*shared {
            return Ok(Arc::clone(cluster));
        }
        let cluster = Arc::new(match memory() {
            Some(place) => Self::start_in(place, ClusterOptions::default())?,
            None => Self::start()?,
        });
        *shared = Some(Arc::clone(&cluster));
        Ok(cluster)
    }

    /// As [`shared`](Self::shared); where there is no PostgreSQL it says so, and the test that asks
    /// is to end.
    pub fn or_skip(test: &str) -> Option<Arc<Self>> {
        match Self::shared() {
            Ok(cluster) => Some(cluster),
            Err(reason) => {
                // Seen with --nocapture, and by whoever reads the log of a failure.
                let _ = writeln!(std::io::stderr(), "skipped: {test}: {reason}");
                None
            }
        }
    }

    /// The address of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// The port of this machine.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Makes an empty database, unless it is there, and gives its address.
    ///
    /// # Errors
    ///
    /// PostgreSQL refuses.
    pub fn database(&self, name: &str) -> Result<String, StoreError> {
        let admin = self.admin(&self.url("postgres"));
        let exists = format!("SELECT 1 FROM pg_database WHERE datname = '{name}'");
        if admin.ask(&exists)? == 0 {
            admin.ask(&format!("CREATE DATABASE \"{name}\""))?;
        }
        Ok(self.url(name))
    }

    /// A database of a name that nobody has.
    ///
    /// # Errors
    ///
    /// PostgreSQL refuses.
    pub fn fresh(&self) -> Result<String, StoreError> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        self.database(&format!("fresh{number}"))
    }

    /// Runs a statement in a database; gives how many rows it gave.
    ///
    /// # Errors
    ///
    /// PostgreSQL refuses.
    pub fn run(&self, url: &str, sql: &str) -> Result<u64, StoreError> {
        self.admin(url).ask(sql)
    }

    /// Runs statements in one session.
    ///
    /// # Errors
    ///
    /// PostgreSQL refuses.
    pub fn run_all(&self, url: &str, sql: &str) -> Result<(), StoreError> {
        self.admin(url).run_all(sql)
    }

    /// The way of the tests themselves, in the clear.
    fn admin(&self, url: &str) -> PostgresOptions {
        let mut url = url.to_owned();
        if self.options.tls.is_some() && !url.contains('?') {
            url.push_str("?sslmode=disable");
        }
        let mut options = PostgresOptions::new(url, "tests");
        options.password.clone_from(&self.options.password);
        options
    }

    /// Brings a database along as a server of a later version does when it starts: `name` is that
    /// of a migration, `V99__something`.
    ///
    /// # Errors
    ///
    /// PostgreSQL refuses, or others keep their tables for too long.
    pub fn migrate_later(&self, url: &str, name: &str, sql: &str) -> Result<(), StoreError> {
        self.admin(url).migrate_later(name, sql)
    }

    /// Does as a server that is stopped with the lock of the log in its hands; gives whether it
    /// has lost its session when `life` is over.
    ///
    /// # Errors
    ///
    /// PostgreSQL refuses.
    pub fn hold_log(url: &str, life: Duration) -> Result<bool, StoreError> {
        PostgresOptions::new(url, "stopped").hold_log(life)
    }

    /// Starts it after it was stopped.
    ///
    /// # Errors
    ///
    /// It does not come up.
    pub fn up(&self) -> Result<(), String> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.directory.join("log"))
            .map_err(|error| error.to_string())?;
        let started = self
            .command("postgres")
            .args(["-D", "data", "-k", "", "-h", "127.0.0.1", "-p"])
            .arg(self.port.to_string())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("postgres: {error}"))?;
        *child = Some(started);
        drop(child);
        let options = self.admin(&self.url("postgres"));
        let until = Instant::now() + PATIENCE;
        while let Err(error) = options.ask("SELECT 1") {
            if Instant::now() > until || self.has_ended() {
                let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
                return Err(format!("postgres does not come up: {error}\n{log}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn has_ended(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let child = child.as_mut();
        child.is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// Stops it: `INT` closes connections and ends in order, `QUIT` ends as a crash does.
    pub fn down(&self, signal: &str) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut child) = child.take() else {
            return;
        };
        let sent = Command::new("kill")
            .args(["-s", signal, &child.id().to_string()])
            .status();
        if !sent.is_ok_and(|status| status.success()) {
            let _ = child.kill();
        }
        let _ = child.wait();
    }

    fn command(&self, program: &str) -> Command {
        self.run_as(&self.programs.join(program))
    }

    fn run_as(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .env("LC_ALL", "C");
        #[cfg(unix)]
        if let Some((user, group)) = self.owner {
            use std::os::unix::process::CommandExt;
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.down("QUIT");
        let _ = std::fs::remove_dir_all(&self.directory);
        if let Some(janitor) = &mut self.janitor {
            drop(janitor.stdin.take());
            let _ = janitor.wait();
        }
    }
}

/// Where initdb and postgres are.
#[expect(clippy::disallowed_methods, reason = "a test asks where programs are")]
fn programs() -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    places.extend(versions.flatten().map(|version| version.path().join("bin")));
    let has = |place: &Path, name| place.join(name).is_file();
    let mut found = places.into_iter();
    found.find(|place| has(place, "initdb") && has(place, "postgres"))
}

/// Where files do not wait for a disk, and a hundred small databases have room.
fn memory() -> Option<&'static Path> {
    const ROOM_KIB: u64 = 2 * 1024 * 1024;
    let place = Path::new("/dev/shm");
    let told = Command::new("df").args(["-Pk", "/dev/shm"]).output().ok()?;
    let told = String::from_utf8(told.stdout).ok()?;
    let free = told.lines().nth(1)?.split_whitespace().nth(3)?;
    (free.parse::<u64>().ok()? >= ROOM_KIB).then_some(place)
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// PostgreSQL does not run as root: then as whom it does.
fn owner() -> Result<Option<(u32, u32)>, String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let own = std::fs::metadata("/proc/self").map(|own| own.uid());
        if own.is_ok_and(|user| user != 0) {
            return Ok(None);
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let found = ["postgres", "nobody"].iter().find_map(|name| {
            let line = users
                .lines()
                .find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            let (user, group) = (fields.next()?, fields.next()?);
            Some((user.parse().ok()?, group.parse().ok()?))
        });
        found.map(Some).ok_or_else(|| {
            "PostgreSQL does not run as root, and there is no user postgres: add one, or run \
             the tests as another user"
                .into()
        })
    }
    #[cfg(not(unix))]
    Ok(None)
}
